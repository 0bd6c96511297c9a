"""Figures of a cross-validation: of every fold by itself, of their mean, and of all folds' images pooled.

Averages over folds and pooled figures answer different questions (Forman and Scholz, SIGKDD Explorations 2010): an average compares
images of one fold only, by one model; a pooled figure compares images across folds, so it holds as far as the folds' probabilities are on
one scale, which each fold's own calibration is there for. The spread between folds is no confidence interval: they share most of their
training images (Bengio and Grandvalet, JMLR 2004). Intervals are by group, of the models as they were trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.contracts import Task
from medtl.evaluation.cases import Cases, from_table
from medtl.evaluation.confusion import confusion, f1, macro, recall
from medtl.evaluation.crossed import Repeated, crossed
from medtl.evaluation.intervals import Interval, wilson
from medtl.evaluation.ranking import auprc, auroc, curves_areas, one_against_rest
from medtl.evaluation.resampling import BLOCK_BYTES, RESAMPLES, Resampled, draw_counts, resample
from medtl.predictions import PLAIN
from medtl.records import KEY

Floats = NDArray[np.float64]
AUROC, AUPRC, F1 = "AUROC", "AUPRC", "macro-F1"
SENSITIVITY, SPECIFICITY, BALANCED = "sensitivity", "specificity", "balanced accuracy"


def figures_of(task: Task) -> tuple[str, ...]:
    """Which figures a task of one class per image has."""
    return (AUROC, AUPRC, F1, *((SENSITIVITY, SPECIFICITY) if task.positive_index is not None else (BALANCED,)))


def each_fold(table: pd.DataFrame, task: Task) -> pd.DataFrame:
    """A row per fold of the out-of-fold predictions `table`: `fold`, `images`, `groups`, `cases` (of the positive class, or of the rarest
    of several), and :func:`figures_of`; NaN where the fold lacks a class that the figure needs."""
    rows = []
    for fold, own in _judged(table).groupby("fold"):
        cases = from_table(own, task)
        images = np.bincount(cases.truth, minlength=len(cases.classes))
        fewest = images[task.positive_index] if task.positive_index is not None else images.min()
        rows.append(
            {"fold": int(str(fold)), "images": len(cases.truth), "groups": cases.group_count, "cases": int(fewest), **_values(cases, task)}
        )
    return pd.DataFrame(rows).sort_values("fold", ignore_index=True)


def pooled(tables: Sequence[pd.DataFrame], task: Task, auroc_intervals: Sequence[Interval]) -> dict[str, Repeated]:
    """:func:`figures_of` over all folds' images together, of several trainings (seeds) on the same images.

    `auroc_intervals`: of each training, as its metrics.json has it; it counts where no draw of the groups changes the figure.
    """
    cases = [from_table(_judged(table), task) for table in tables]
    values = [_values(each, task) for each in cases]
    draws = [_drawn(resample(each), task) for each in cases]
    groups = {name: _groups(cases[0], name, task) for name in figures_of(task)}
    analytic = {name: [wilson(each[name], max(1, groups[name])) for each in values] for name in groups} | {AUROC: list(auroc_intervals)}
    return {
        name: crossed([each[name] for each in values], [drawn[name] for drawn in draws], cases[0].group_count, analytic[name])
        for name in figures_of(task)
    }


def mean_auroc(tables: Sequence[pd.DataFrame], task: Task, auroc_intervals: Sequence[Interval]) -> Repeated:
    """The plain mean of the folds' AUROCs, on the same draws of the groups as :func:`pooled`; folds that lack a class are left out."""
    values, drawn, groups = [], [], 1
    for table in map(_judged, tables):
        cases = from_table(table, task)
        own, draws = _aurocs(cases, table["fold"].to_numpy())
        known = np.isfinite(own)
        values.append(float(macro(own)))
        drawn.append(macro(draws[known].T))
        groups = cases.group_count
    return crossed(values, drawn, groups, auroc_intervals)


def _judged(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of known truth, each judged by the member of its fold; in the order that `from_table` keeps."""
    own = table[(table["view"] == PLAIN) & (table["truth"] != "")]
    return own.assign(member="").sort_values(KEY, ignore_index=True)


def _values(cases: Cases, task: Task) -> dict[str, float]:
    read = cases.read
    truth, p = cases.truth[read], cases.probabilities[read]
    counted, unread = confusion(cases.truth, cases.predicted, len(cases.classes))
    recalls = recall(counted, unread)
    found = {AUROC: auroc(truth, p, cases.positive), AUPRC: auprc(truth, p, cases.positive), F1: float(macro(f1(counted, unread)))}
    return {**found, **_of_recalls(recalls, float(macro(recalls)), task)}


def _drawn(draws: Resampled, task: Task) -> dict[str, Floats]:
    found = {AUROC: macro(draws.auroc), AUPRC: macro(draws.auprc), F1: draws.macro_f1}
    return {**found, **_of_recalls(draws.recalls, draws.balanced_accuracy, task)}


def _of_recalls(recalls: Floats, balanced: Any, task: Task) -> dict[str, Any]:
    """(…, K) recalls under their names."""
    if task.positive_index is None:
        return {BALANCED: balanced}
    return {SENSITIVITY: recalls[..., task.positive_index], SPECIFICITY: recalls[..., 1 - task.positive_index]}


def _groups(cases: Cases, name: str, task: Task) -> int:
    """So many groups a figure rests on."""
    if task.positive_index is None or name == F1:
        return cases.group_count
    judged = cases.truth == task.positive_index
    return len(np.unique(cases.groups[~judged if name == SPECIFICITY else judged]))


def _aurocs(cases: Cases, folds: NDArray[Any]) -> tuple[Floats, Floats]:
    """AUROC of each fold (F,), and on each draw of all groups (F, R)."""
    values, orders = [], []
    for fold in np.unique(folds):
        own = cases.read & (folds == fold)
        truth, p = cases.truth[own], cases.probabilities[own]
        values.append(auroc(truth, p, cases.positive))
        orders.append((one_against_rest(truth, p, cases.positive), cases.groups[own]))
    drawn = []
    block = int(np.clip(BLOCK_BYTES // (8 * len(folds)), 1, RESAMPLES))
    for counts in draw_counts(cases.numbered, RESAMPLES, block, 0):
        weights = counts.astype(np.float64)
        areas = [[curves_areas(order, weights, groups)[0] for order in own] for own, groups in orders]
        drawn.append(np.stack([macro(np.stack(each, axis=1)) for each in areas]))
    return np.array(values), np.concatenate(drawn, axis=1)
