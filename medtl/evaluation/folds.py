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
from medtl.errors import listed
from medtl.evaluation.confusion import macro
from medtl.evaluation.crossed import Repeated, crossed
from medtl.evaluation.drawn import AUPRC, AUROC, BALANCED, F1, SENSITIVITY, SPECIFICITY, Answers, answers
from medtl.evaluation.intervals import Interval, wilson
from medtl.evaluation.ranking import auroc, curves_areas, one_against_rest
from medtl.evaluation.resampling import BLOCK_BYTES, RESAMPLES, draw_counts
from medtl.predictions import PLAIN, true_findings
from medtl.records import KEY

Floats = NDArray[np.float64]


def figures_of(task: Task) -> tuple[str, ...]:
    """Which figures a task has; of several findings per image they are means over findings."""
    one_sided = task.kind == "multi" or task.positive_index is not None
    return (AUROC, AUPRC, F1, *((SENSITIVITY, SPECIFICITY) if one_sided else (BALANCED,)))


def each_fold(table: pd.DataFrame, task: Task) -> pd.DataFrame:
    """A row per fold of the out-of-fold predictions `table`: `fold`, `images`, `groups`, `cases` (of the positive class, or of the rarest
    class or finding of several), and :func:`figures_of`; NaN where the fold lacks a class that the figure needs. Of several findings also
    `unranked`: those without a part in the fold's AUROC."""
    rows = []
    for fold, own in _judged(table).groupby("fold"):
        told = answers(own, task)
        known: dict[str, Any] = {"fold": int(str(fold)), "images": len(own), "groups": told.group_count, "cases": _cases(told, task)}
        known |= {"unranked": listed(told.unranked)} if told.several else {}
        rows.append({**known, **{name: told.values[name] for name in figures_of(task)}})
    return pd.DataFrame(rows).sort_values("fold", ignore_index=True)


def _cases(told: Answers, task: Task) -> int:
    if told.several:
        return min(int((part.truth == 1).sum()) for part in told.parts.values())
    images = np.bincount(told.parts[""].truth, minlength=len(task.names))
    return int(images[task.positive_index] if task.positive_index is not None else images.min())


def out_of_fold(tables: Sequence[pd.DataFrame], task: Task) -> list[Answers]:
    """All folds' images together, of several trainings (seeds) on the same images."""
    return [answers(_judged(table), task) for table in tables]


def pooled(told: Sequence[Answers], task: Task, auroc_intervals: Sequence[Interval]) -> dict[str, Repeated]:
    """:func:`figures_of` over all folds' images together; `told`: of :func:`out_of_fold`.

    `auroc_intervals`: of each training, as its metrics.json has it; it counts where no draw of the groups changes the figure.
    """
    groups = {name: _groups(told[0], name, task) for name in figures_of(task)}
    analytic = {name: [wilson(each.values[name], max(1, groups[name])) for each in told] for name in groups} | {
        AUROC: list(auroc_intervals)
    }
    return {
        name: crossed([each.values[name] for each in told], [each.drawn[name] for each in told], told[0].group_count, analytic[name])
        for name in figures_of(task)
    }


def mean_auroc(tables: Sequence[pd.DataFrame], task: Task, auroc_intervals: Sequence[Interval]) -> Repeated:
    """The plain mean of the folds' AUROCs, on the same draws of the groups as :func:`pooled`; folds that lack a class (of several findings:
    all of them) are left out, and of a fold the findings that it cannot rank."""
    values, drawn, groups = [], [], 1
    for table in map(_judged, tables):
        told = answers(table, task)
        own, draws = _aurocs(told, table)
        known = np.isfinite(own)
        values.append(float(macro(own)))
        drawn.append(macro(draws[known].T))
        groups = told.group_count
    return crossed(values, drawn, groups, auroc_intervals)


def _judged(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of known truth, each judged by the member of its fold; in the order of a task's cases."""
    own = table[(table["view"] == PLAIN) & (table["truth"] != "")]
    return own.assign(member="").sort_values(KEY, ignore_index=True)


def _groups(told: Answers, name: str, task: Task) -> int:
    """So many groups a figure rests on; of several findings a share rests on those of the finding that has fewest."""
    side = 1 if told.several else task.positive_index
    if side is None or name == F1:
        return told.group_count
    judged = [(part.groups, part.truth == side) for part in told.parts.values()]
    return min(len(np.unique(groups[~of_it if name == SPECIFICITY else of_it])) for groups, of_it in judged)


def _aurocs(told: Answers, table: pd.DataFrame) -> tuple[Floats, Floats]:
    """AUROC of each fold (F,), and on each draw of all groups (F, R); of several findings the mean over findings."""
    folds = table["fold"].to_numpy()
    known = np.isfinite(true_findings(table)).T if told.several else np.ones((1, len(table)), dtype=bool)
    each = [_of_part(told, name, folds[rows], np.unique(folds)) for name, rows in zip(told.parts, known, strict=True)]
    return macro(np.stack([values for values, _ in each], axis=-1)), macro(np.stack([drawn for _, drawn in each], axis=-1))


def _of_part(told: Answers, name: str, folds: NDArray[Any], there: NDArray[Any]) -> tuple[Floats, Floats]:
    """The same of one table of cases, whose images stand in `folds` (N,)."""
    cases = told.parts[name]
    values, orders = [], []
    for fold in there:
        own = cases.read & (folds == fold)
        truth, p = cases.truth[own], cases.probabilities[own]
        values.append(auroc(truth, p, cases.positive))
        orders.append((one_against_rest(truth, p, cases.positive), cases.groups[own]))
    drawn = []
    block = int(np.clip(BLOCK_BYTES // (8 * max(1, len(folds))), 1, RESAMPLES))
    for counts in draw_counts(cases.numbered, RESAMPLES, block, 0):
        weights = counts.astype(np.float64)
        areas = [[curves_areas(order, weights, groups)[0] for order in own] for own, groups in orders]
        drawn.append(np.stack([macro(np.stack(each, axis=1)) for each in areas]))
    return np.array(values), np.concatenate(drawn, axis=1)
