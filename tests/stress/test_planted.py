"""A marker planted beside the label is named by what the views show, and nothing is named where there is none.

What answers is a logistic regression on fixed random filters: no training of a network, and as blind to the cause as one.
"""

from __future__ import annotations

import cv2
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from medtl.contracts import Task
from medtl.evaluation.stressed import sentences, stressed
from medtl.phantom.cases import draw_cases
from medtl.phantom.radiograph import radiograph
from medtl.phantom.settings import Faults, PhantomSettings
from medtl.predictions import PLAIN
from medtl.stress.views import VIEWS

SIZE, CELLS, LEARNED = 96, 12, 300
TASK = Task(classes={"normal": (), "pneumonia": ()}, positive="pneumonia")


def images_of(marker: float | None, contrast: float) -> tuple[np.ndarray, np.ndarray]:
    """uint8 (N, S, S, 1), a patient each, and whether there is pneumonia."""
    settings = PhantomSettings(kind="chest", patients=500, images=1, size=SIZE, contrast=contrast, faults=Faults(marker=marker))
    cases = draw_cases(settings)
    squares = [cv2.resize(np.clip(radiograph(case, settings).shown, 0, 1), (SIZE, SIZE)) for case in cases]
    return (255 * np.stack(squares)[..., None]).astype(np.uint8), np.array([case.label == "pneumonia" for case in cases])


def features(images: np.ndarray) -> np.ndarray:
    """(N, D): what 16 random filters answer most strongly in each cell, and its mean grey."""
    filters = np.random.default_rng(0).normal(size=(16, 5, 5)).astype(np.float32)
    filters -= filters.mean(axis=(1, 2), keepdims=True)
    found = []
    for image in images[..., 0].astype(np.float32) / 255:
        answers = np.stack([cv2.filter2D(image, -1, each) for each in filters])
        cells = answers.reshape(len(filters), CELLS, SIZE // CELLS, CELLS, SIZE // CELLS)
        grey = cv2.resize(image, (CELLS, CELLS), interpolation=cv2.INTER_AREA)
        found.append(np.concatenate([cells.max(axis=(2, 4)).ravel(), grey.ravel()]))
    return np.stack(found)


def said(marker: float | None, contrast: float) -> list[tuple[bool, str]]:
    images, ill = images_of(marker, contrast)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.003, max_iter=2000)).fit(features(images[:LEARNED]), ill[:LEARNED])
    shown = {PLAIN: images[LEARNED:]} | {view.name: view.show(images[LEARNED:]) for view in VIEWS}
    parts = []
    for view, squares in shown.items():
        p = model.predict_proba(features(squares))[:, 1]
        part = pd.DataFrame({"image": [f"{i:03d}.png" for i in range(len(p))], "frame": 0, "member": "", "view": view})
        part["group_id"], part["truth"] = part["image"], np.where(ill[LEARNED:], "pneumonia", "normal")
        part["p_normal"], part["p_pneumonia"] = 1 - p, p
        part["predicted"] = part["decision"] = np.where(p > 0.5, "pneumonia", "normal")
        parts.append(part)
    test = stressed(pd.concat(parts, ignore_index=True), TASK)
    return [(each.grave, each.text) for each in sentences(test)]


def test_a_planted_marker_is_named():
    found = said(1.0, 0.3)
    graves = [text for grave, text in found if grave]
    assert any("lies at the border" in text for text in graves)
    assert any("letters, crosses or ink" in text for text in graves)


def test_without_a_marker_nothing_is_named():
    assert not any(grave for grave, _ in said(None, 1.0))
