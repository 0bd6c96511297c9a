"""Answers for every labelled image by a linear probe that has not seen it: what the audit judges labels by, and a ranking weights."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl import findings
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

    Several findings per image: each is such a task of two classes over the images of which it is known. One that fewer than five groups
    have, or have not, stands as unknown throughout; None where that is so of all.
    """
    if task.kind == "multi":
        return _of_findings(records, features, task)
    used = (records["label"] != "") & ~records["split"].isin([EXCLUDED, TEST]) & np.isfinite(features).all(axis=1)
    counts = records[used].groupby("label")["group_id"].nunique()
    enough = [name for name in task.names if counts.get(name, 0) >= PARTS]
    rows = records[used & records["label"].isin(enough)]
    if len(enough) < 2:
        return None
    targets = rows["label"].map({name: k for k, name in enumerate(task.names)}).to_numpy(np.int64)
    probabilities = _probabilities(_components(features[rows.index]), targets, pd.factorize(rows["group_id"])[0], len(task.names))
    return _table(rows, probabilities, task)


def _of_findings(records: pd.DataFrame, features: NDArray[np.float32], task: Task) -> pd.DataFrame | None:
    each = {name: out_of_fold(alone, features, own) for name in task.names for alone, own in [findings.alone(records, name)]}
    answered = {name: table.set_index(KEY) for name, table in each.items() if table is not None}
    if not answered:
        return None
    keys = pd.MultiIndex.from_frame(records[KEY])
    truth, p = (pd.DataFrame(value, keys, list(task.names)) for value in (np.nan, 0.5))  # where nothing is known an answer judges nothing
    for name, table in answered.items():
        truth.loc[table.index, name] = (table["truth"] == name).astype(float)
        p.loc[table.index, name] = table[f"p_{name}"]
    known = truth.notna().any(axis=1).to_numpy()
    rows, present = records.loc[known, [*KEY, "domain", "split", "fold", "group_id"]], truth.to_numpy()[known]
    called = findings.words(p.to_numpy()[known] > 0.5, task.names)
    table = rows.assign(
        member="", view="plain", truth=findings.words(present, task.names), unknown=findings.unknown_words(present, task.names),
        predicted=called, decision=called, reason="",
    )  # fmt: skip
    for name in task.names:
        own = np.clip(p.loc[known, name].to_numpy(), 1e-12, 1 - 1e-12)
        table[f"logit_{name}"], table[f"p_{name}"] = np.log(own / (1 - own)), own
    return table[columns(task.names, together=True)].reset_index(drop=True)


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
