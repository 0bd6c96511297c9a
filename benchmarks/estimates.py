"""How long the estimates and the report of one table take: 2,000 resamples of 10,000 rows × 7 classes, by patient.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/estimates.py

Prints seconds of one processor (`time.process_time`), the least of three: all estimates; the same resamples as a loop over scikit-learn
(fewer figures; measured on ten resamples); and the whole report from the tables, with subgroups of four kept columns.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import softmax

from medtl.contracts import Task
from medtl.evaluation.answering import judge_split
from medtl.evaluation.resampling import RESAMPLES
from medtl.evaluation.summary import summarize
from medtl.report.contents import Contents
from medtl.report.page import write_report

ROWS, PREVALENCE = 10_000, (0.66, 0.11, 0.11, 0.05, 0.04, 0.02, 0.01)
NAMES = tuple("abcdefg")
TASK = Task(classes=dict.fromkeys(NAMES, ()))
LOOPED = 10


def made() -> pd.DataFrame:
    """A predictions table: three images a patient, who share their class and half of their noise."""
    random = np.random.default_rng(0)
    patient = np.arange(ROWS) // 3
    truth = random.choice(len(NAMES), patient.max() + 1, p=PREVALENCE)[patient]
    shared = random.normal(size=(patient.max() + 1, len(NAMES)))[patient]
    evidence = 1.5 * np.eye(len(NAMES))[truth] + (shared + random.normal(size=shared.shape)) / np.sqrt(2)
    p = softmax(1.5 * evidence + np.log(PREVALENCE), axis=1)
    told = np.array(NAMES)[p.argmax(axis=1)]
    table = pd.DataFrame({"image": [f"{i}.png" for i in range(ROWS)], "frame": 0, "group_id": [f"p{i}" for i in patient]})
    table = table.assign(member="", view="plain", truth=np.array(NAMES)[truth], predicted=told, decision=told)
    table = table.assign(domain="here", split="test", fold="", reason="")
    table[[f"p_{name}" for name in NAMES]] = p
    table[[f"logit_{name}" for name in NAMES]] = np.log(p)
    return table


def with_scikit_learn(table: pd.DataFrame, resamples: int) -> None:
    """The usual loop: draw patients, gather their rows, ask for each figure."""
    from sklearn import metrics

    random = np.random.default_rng(0)
    truth = table["truth"].map({name: k for k, name in enumerate(NAMES)}).to_numpy()
    p = table[[f"p_{name}" for name in NAMES]].to_numpy()
    rows_of = [np.asarray(rows) for rows in table.groupby("group_id").indices.values()]
    every = np.arange(len(NAMES))
    for _ in range(resamples):
        rows = np.concatenate([rows_of[group] for group in random.integers(0, len(rows_of), len(rows_of))])
        true, shares = truth[rows], p[rows]
        called = shares.argmax(axis=1)
        metrics.accuracy_score(true, called)
        metrics.balanced_accuracy_score(true, called)
        metrics.precision_recall_fscore_support(true, called, labels=every, zero_division=0)
        metrics.matthews_corrcoef(true, called)
        metrics.cohen_kappa_score(true, called)
        metrics.log_loss(true, shares, labels=every)
        for k in every:
            metrics.roc_auc_score(true == k, shares[:, k])
            metrics.average_precision_score(true == k, shares[:, k])


def contents_of(table: pd.DataFrame, entry: dict[str, Any]) -> Contents:
    """A run whose records keep age, sex, site and view."""
    rows = table[["image", "frame", "group_id", "domain", "split", "fold"]].assign(
        label=table["truth"], sha256="0" * 64, group_kind="patient"
    )
    rows["patient_id"], random = rows["group_id"], np.random.default_rng(1)
    rows = rows.assign(age=random.integers(20, 90, ROWS).astype(str), sex=random.choice(["F", "M"], ROWS))
    rows = rows.assign(site=random.choice(list("NSEW"), ROWS), view=random.choice(["PA", "AP"], ROWS))
    package = {
        "name": "made", "scope": {}, "image": {"size": 224, "channels": 3, "fit": "pad", "intensity": "as-read"}, "network": {},
        "weights": [{"file": "w", "sha256": "0", "provenance": {}}], "calibration": {"temperature": 1.0}, "training": {}, "lineage": {},
        "operating_point": {"rule": "argmax", "threshold": None, "split": "validation", "n": 1}, "fingerprint": "0", "medtl": "0",
        "created": "2026-01-01", "task": TASK.model_dump(mode="json"),
    }  # fmt: skip
    metrics = {"format": 1, "unit": "patient", "looks": 1, "splits": {"test": entry}}
    return Contents(task=TASK, metrics=metrics, predictions=table, records=rows, package=package)


def seconds(what: Callable[[], object], times: int = 3) -> float:
    """The least of so many."""
    spent = []
    for _ in range(times):
        begin = time.process_time()
        what()
        spent.append(time.process_time() - begin)
    return min(spent)


def main() -> None:
    table = made()
    warnings.simplefilter("ignore")
    own = seconds(lambda: summarize(table, TASK))
    loop = seconds(lambda: with_scikit_learn(table, LOOPED)) * RESAMPLES / LOOPED
    entry = judge_split(table, TASK)
    figures = sum(isinstance(each, dict) and "value" in each for each in entry.values())
    of_class = sum(isinstance(each, dict) for each in entry["per_class"]["a"].values())
    print(f"{ROWS:,} rows, {len(NAMES)} classes, {RESAMPLES:,} resamples: {own:.2f} s ({figures} figures, and {of_class} of each class)")
    print(f"a loop over scikit-learn: {loop:.0f} s, {loop / own:.0f} times as long")
    with tempfile.TemporaryDirectory() as place:
        print(f"the report from the tables: {seconds(lambda: write_report(contents_of(table, entry), Path(place))):.1f} s")


if __name__ == "__main__":
    main()
