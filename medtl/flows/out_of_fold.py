"""Answers for every labelled image by a linear probe that has not seen it: what the audit judges labels by."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.contracts import EXCLUDED, TEST, Task
from medtl.predictions import columns
from medtl.records import KEY

PARTS = 5
COMPONENTS = 128
STRENGTHS = (0.03, 0.3, 3.0)
"""Of the probe (C of scikit-learn, the inverse of its penalty): the one with the best likelihood over all parts is taken for all."""


def out_of_fold(records: pd.DataFrame, features: NDArray[np.float32], task: Task) -> pd.DataFrame | None:
    """A predictions table of the labelled images in use; None where a class has too few groups to be judged by others.

    features: (N, D) row for row as `records`, NaN rows where an image was not read. Each group (patient, lesion) is answered for
    whole, by a penalised logistic regression on the other groups' principal components. Test images take no part: what a model
    says of them, nobody is to know before they are opened on purpose. Classes of fewer than five groups take no part either.
    """
    used = (records["label"] != "") & ~records["split"].isin([EXCLUDED, TEST]) & np.isfinite(features).all(axis=1)
    counts = records[used].groupby("label")["group_id"].nunique()
    enough = [name for name in task.names if counts.get(name, 0) >= PARTS]
    rows = records[used & records["label"].isin(enough)]
    if len(enough) < 2:
        return None
    targets = rows["label"].map({name: k for k, name in enumerate(task.names)}).to_numpy(np.int64)
    probabilities = _probabilities(_components(features[rows.index]), targets, pd.factorize(rows["group_id"])[0], len(task.names))
    return _table(rows, probabilities, task)


def _components(features: NDArray[np.float32]) -> NDArray[np.float64]:
    """(N, ≤ 128) standardised principal components; no label takes part in them."""
    from sklearn.decomposition import PCA

    number = min(COMPONENTS, *features.shape)
    spread = features.std(axis=0)
    standard = (features - features.mean(axis=0))[:, spread > 0] / spread[spread > 0]
    found = PCA(min(number, standard.shape[1]), random_state=0, svd_solver="randomized").fit_transform(standard.astype(np.float64))
    return np.asarray(found / found[:, 0].std())  # one scale for all, so that the weaker ones weigh less


def _probabilities(
    features: NDArray[np.float64], targets: NDArray[np.int64], groups: NDArray[np.intp], classes: int
) -> NDArray[np.float64]:
    """(N, K) out of fold, by the penalty under which the given labels are likeliest."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold

    parts = list(StratifiedGroupKFold(PARTS, shuffle=True, random_state=0).split(features, targets, groups))
    best, likeliest = np.empty(0), -np.inf
    for strength in STRENGTHS:
        answers = np.full((len(targets), classes), 1e-6)
        for learned, asked in parts:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # ConvergenceWarning: a probe that is not quite at its minimum answers all the same
                probe = LogisticRegression(C=strength, max_iter=200).fit(features[learned], targets[learned])
            answers[np.ix_(asked, probe.classes_)] = probe.predict_proba(features[asked])
        answers /= answers.sum(axis=1, keepdims=True)
        likelihood = float(np.log(np.maximum(answers[np.arange(len(targets)), targets], 1e-12)).mean())
        if likelihood > likeliest:
            best, likeliest = answers, likelihood
    return best


def _table(rows: pd.DataFrame, probabilities: NDArray[np.float64], task: Task) -> pd.DataFrame:
    names = np.asarray(task.names, object)[probabilities.argmax(axis=1)]
    table = rows[[*KEY, "domain", "split", "fold", "group_id"]].assign(
        member="", view="plain", truth=rows["label"], predicted=names, decision=names, reason=""
    )
    for k, name in enumerate(task.names):
        table[f"logit_{name}"] = np.log(np.maximum(probabilities[:, k], 1e-12))
        table[f"p_{name}"] = probabilities[:, k]
    return table[columns(task.names)].reset_index(drop=True)
