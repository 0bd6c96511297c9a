"""Shortcuts: what tells the label is found with an honest figure, what does not is left alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.preprocessing import SplineTransformer

from medtl.audit.findings import Finding
from medtl.audit.joined import groups_of
from medtl.audit.shortcuts import shortcuts
from medtl.audit.telling import FOLDS, folds_of, told

Make = Callable[..., tuple[pd.DataFrame, pd.DataFrame]]


def found(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.code: finding for finding in findings}


def telling(findings: list[Finding]) -> dict[str, str]:
    return {finding.code: finding.severity for finding in findings if finding.code.startswith("TELLTALE_")}


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 2)), min_size=30, max_size=120))
def test_folds_keep_groups_whole_and_deal_classes_evenly(rows: list[tuple[int, int]]) -> None:
    groups = np.unique([group for group, _ in rows], return_inverse=True)[1]
    truth = np.array([group % 3 for group, _ in rows])
    folds = folds_of(truth, groups)
    assert all(np.unique(folds[groups == group]).size == 1 for group in np.unique(groups))
    of_group = folds[np.unique(groups, return_index=True)[1]]
    for label in range(3):
        held = np.bincount(of_group[truth[np.unique(groups, return_index=True)[1]] == label], minlength=FOLDS)
        assert held.max() - held.min() <= 1


def test_the_figure_agrees_with_scikit_learn(cohort: Make) -> None:
    """The AUROC of its scores, and that of a spline regression over grouped folds of another making."""
    records, _ = cohort(1200)
    chance = np.random.default_rng(1)
    sick = (records["label"] == "pneumonia").to_numpy()
    brightness = chance.normal(0.5 + 0.05 * sick, 0.05)
    result = told(pd.DataFrame({"brightness": brightness}), records["label"], groups_of(records))
    assert result is not None
    folds = folds_of(sick.astype(int), groups_of(records))
    each = [
        (roc_auc_score(sick[own], result.scores[own, 1]), sick[own].sum() * (~sick[own]).sum()) for own in (folds == k for k in range(5))
    ]
    assert result.value == pytest.approx(np.average([value for value, _ in each], weights=[pairs for _, pairs in each]), abs=1e-12)
    model = SplineTransformer(n_knots=6).fit_transform(brightness[:, None])
    others = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    other = cross_val_predict(LogisticRegression(), model, sick, groups=records["group_id"], cv=others, method="predict_proba")[:, 1]
    assert result.value == pytest.approx(roc_auc_score(sick, other), abs=0.02)
    assert result.interval.low < roc_auc_score(sick, brightness) < result.interval.high


def test_what_tells_the_label_is_found_and_nothing_else(cohort: Make) -> None:
    records, measured = cohort()
    sick = (records["label"] == "pneumonia").to_numpy()
    measured["bytes"] -= 25_000 * sick
    findings = shortcuts(records, measured.sample(frac=1, random_state=0))
    assert telling(findings) == {"TELLTALE_BYTES": "grave"}
    first = findings[0]
    assert "from the size of the file in bytes alone: AUROC 0.9" in first.title
    assert list(first.table["class"]) == ["normal", "pneumonia"]
    assert first.table["images"].sum() == len(records)
    labels = records.set_index("image")["label"]
    assert [labels[image] for image, _ in first.images[:4]] == ["normal", "pneumonia", "normal", "pneumonia"]
    overview = found(findings)["TELLTALES"]
    assert overview.title.endswith("1 tells the label")
    assert "the image's height and width" in overview.advice


def test_chance_tells_nothing(cohort: Make) -> None:
    """Cohorts in which nothing has to do with the label, of two and seven classes."""
    for seed in range(4):
        for classes in (("a", "b"), tuple("abcdefg")):
            assert not telling(shortcuts(*cohort(300, classes, seed=seed))), (seed, classes)


def test_what_tells_nothing_is_at_one_half(cohort: Make) -> None:
    """Not below: of pooled folds it would be about 0.4 with two values and seven classes."""
    chance = np.random.default_rng(0)
    values = []
    for seed in range(30):
        records, _ = cohort(200, tuple("abcdefg"), seed=seed)
        result = told(pd.DataFrame({"sex": chance.choice(["F", "M"], 200)}), records["label"], groups_of(records))
        values += [result.value] if result else []
    assert np.mean(values) == pytest.approx(0.5, abs=0.015)


def test_a_patient_known_by_heart_tells_nothing(cohort: Make) -> None:
    """A number that is the patient's own, seen on the other side of a split of images, would tell all."""
    records, measured = cohort(600, per_group=6)
    measured["brightness"] = pd.factorize(records["patient_id"])[0] / 100 + np.random.default_rng(0).uniform(0, 0.001, 600)
    assert not telling(shortcuts(records, measured))


def test_shapes_that_no_straight_line_follows(cohort: Make) -> None:
    """The middle against the extremes, and a mark in any one of four corners of every second image of one class."""
    records, measured = cohort(800)
    sick = (records["label"] == "pneumonia").to_numpy()
    chance = np.random.default_rng(0)
    measured["sharpness"] = np.where(sick, chance.normal(0.5, 0.05, 800), chance.choice([0.3, 0.7], 800) + chance.normal(0, 0.05, 800))
    corner = chance.integers(0, 4, 800)
    for place, column in enumerate(("top_left", "top_right", "bottom_left", "bottom_right")):
        measured[f"corner_{column}_marks"] = np.where(sick & (corner == place) & (chance.random(800) < 0.8), 0.02, 0.0)
    severities = telling(shortcuts(records, measured))
    assert severities == {"TELLTALE_SHARPNESS": "notable", "TELLTALE_CORNERS": "grave"}


def test_kept_columns(cohort: Make) -> None:
    """Reference standard, age, site, date; ids and names of files are none of them."""
    records, measured = cohort(600)
    sick = (records["label"] == "pneumonia").to_numpy()
    chance = np.random.default_rng(0)
    ages = np.where(sick, chance.normal(75, 6, 600), chance.normal(40, 6, 600)).round(1).astype(str)
    ages[::7] = ""
    records = records.assign(
        dx_type=np.where(sick | (chance.random(600) < 0.15), "histo", "follow_up"),
        age=ages,
        site=np.where(chance.random(600) < 0.5, "north", "south"),
        date=[f"20{20 + late}-0{1 + number % 9}-11" for number, late in enumerate((sick & (chance.random(600) < 0.9)).astype(int))],
        study=[f"s{number}" for number in range(600)],
    )
    findings = shortcuts(records, measured)
    assert telling(findings) == {"TELLTALE_DX_TYPE": "grave", "TELLTALE_DATE": "grave", "TELLTALE_AGE": "notable"}
    table = found(findings)["TELLTALE_DX_TYPE"].table
    assert table.set_index("class").loc["pneumonia", "dx_type"] == "histo 100 %"
    tried = set(found(findings)["TELLTALES"].table["property"])
    assert "the column 'site'" in tried
    assert "the column 'study'" not in tried


def test_one_class_of_several(cohort: Make) -> None:
    records, measured = cohort(900, tuple("abcdef"))
    measured["encoding"] = np.where(records["label"] == "c", "JPEG 4:2:0 quality 75", "PNG")
    first = shortcuts(records, measured)[0]
    assert (first.code, first.severity) == ("TELLTALE_ENCODER", "grave")
    assert "clearest for 'c' with >0.99" in first.title or "clearest for 'c' with 1.000" in first.title


def test_rows_in_any_order_give_the_same_figures(cohort: Make) -> None:
    records, measured = cohort(300)
    measured["border"] += 0.1 * (records["label"] == "pneumonia")
    one, other = shortcuts(records, measured), shortcuts(records.sample(frac=1, random_state=1), measured.sample(frac=1, random_state=2))
    pd.testing.assert_frame_equal(found(one)["TELLTALES"].table, found(other)["TELLTALES"].table)


def test_too_few_cases_and_no_labels_are_said(cohort: Make) -> None:
    records, measured = cohort(30)
    assert "two classes with 10 groups each are needed" in found(shortcuts(records[:18], measured))["TELLTALES"].title
    assert "no labelled images" in found(shortcuts(records.assign(label=""), measured))["TELLTALES"].title
    assert not telling(shortcuts(records.assign(split="excluded"), measured))
