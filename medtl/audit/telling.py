"""How well something that is not the picture tells the label: out-of-fold, by group, as an AUROC with its interval.

The learner is as plain as the question: every number is cut into bins at its quantiles, every word is its own bin, "unknown" is a
bin too, and the share of each class in the bins is estimated by ridge regression. So it follows any shape (middle sizes against
extreme ones), needs no tuning, and with one column is nothing but the class shares seen in the other folds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.audit.joined import numbers_of
from medtl.evaluation import ranking
from medtl.evaluation.intervals import Interval, auroc_interval, independent_at_least, of_mean

FOLDS = 5
BINS = 8
FEW_GROUPS = 10
"""A class with fewer groups than this is not judged alone, and stays out of the mean."""
_LEVELS = 40
"""So many of a column's words get a bin; rarer ones share one."""
_RIDGE = 2.0
"""Images' worth of pull towards the overall share, for each bin."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Told:
    """What the out-of-fold scores of N labelled rows are worth."""

    classes: tuple[str, ...]
    """Those judged: the second of two, else each with enough groups."""
    each: tuple[tuple[float, Interval], ...]
    """AUROC and interval (95 %) of each judged class against the rest."""
    value: float
    """Their mean."""
    interval: Interval
    scores: Floats
    """(N, K) for all classes, sorted by name; higher: rather this class."""

    @property
    def clearest(self) -> int:
        """Position of the judged class whose interval begins highest."""
        return int(np.argmax([interval.low for _, interval in self.each]))


def told(columns: pd.DataFrame, labels: pd.Series, groups: NDArray[np.int64]) -> Told | None:
    """How well `columns` (N rows) tell `labels` (N,) when learned on other `groups` (N,).

    None where nothing can be said: one value everywhere, or fewer than two classes of :data:`FEW_GROUPS` groups.
    """
    names, truth = np.unique(labels.astype(str), return_inverse=True)
    sizes = [np.unique(groups[truth == k]).size for k in range(len(names))]
    judged = [k for k, size in enumerate(sizes) if size >= FEW_GROUPS]
    if len(judged) < 2 or not _varies(columns):
        return None
    folds = folds_of(truth, groups)
    return _judged(_out_of_fold(columns, truth, len(names), folds), truth, names, judged, groups, folds)


def _judged(
    scores: Floats,
    truth: NDArray[np.int64],
    names: NDArray[np.str_],
    judged: list[int],
    groups: NDArray[np.int64],
    folds: NDArray[np.int64] | None = None,
) -> Told:
    """What (N, K) scores are worth for the classes `judged`, of two for the second."""
    classes = judged[1:] if len(names) == 2 else judged
    each = [auroc_by_group(scores[:, k], truth == k, groups, folds) for k in classes]
    mean = of_mean([value for value, _ in each], [interval for _, interval in each])
    return Told(tuple(str(names[k]) for k in classes), tuple(each), float(np.mean([value for value, _ in each])), mean, scores)


def told_of_others(columns: pd.DataFrame, labels: pd.Series, groups: NDArray[np.int64], seen: NDArray[np.bool_]) -> Told | None:
    """As :func:`told`, learned on the rows `seen` (N,) and judged on all others."""
    names, truth = np.unique(labels.astype(str), return_inverse=True)
    held = ~seen
    sizes = [np.unique(groups[held & (truth == k)]).size for k in range(len(names))]
    judged = [k for k, size in enumerate(sizes) if size >= FEW_GROUPS and (truth[seen] == k).any()]
    if len(judged) < 2 or not _varies(columns):
        return None
    scores = np.zeros((len(truth), len(names)))
    scores[held] = _learned(columns, np.eye(len(names))[truth], seen, held)
    return _judged(scores[held].round(9), truth[held], names, judged, groups[held])


def _varies(columns: pd.DataFrame) -> bool:
    return any(columns[name].nunique(dropna=False) > 1 for name in columns.columns)


def auroc_by_group(
    score: Floats, positive: NDArray[np.bool_], groups: NDArray[np.int64], folds: NDArray[np.int64] | None = None
) -> tuple[float, Interval]:
    """AUROC of (N,) scores; its interval takes all images of a group for one case, on either side.

    With `folds` (N,), only images of one fold are compared: across folds a useless score does worse than chance, for a class that is
    rare in a fold was common in the others, from which its share was learned.
    """
    parts = [np.ones(len(score), dtype=bool)] if folds is None else [folds == fold for fold in range(FOLDS)]
    weights = np.array([positive[part].sum() * (~positive[part]).sum() for part in parts], dtype=np.float64)
    values = [ranking.auroc(positive[part].astype(np.int64), np.column_stack([-score[part], score[part]])) for part in parts]
    value = float(np.nansum(np.where(weights > 0, values, 0) * weights) / weights.sum())
    sides = [independent_at_least(groups[side]) for side in (positive, ~positive)]
    return value, auroc_interval(value, *sides)


def _out_of_fold(columns: pd.DataFrame, truth: NDArray[np.int64], classes: int, folds: NDArray[np.int64]) -> Floats:
    wanted = np.eye(classes)[truth]
    scores = np.zeros_like(wanted)
    for fold in range(FOLDS):
        seen, held = folds != fold, folds == fold
        scores[held] = _learned(columns, wanted, seen, held)
    return np.asarray(scores.round(9), dtype=np.float64)  # equal rows tie, whatever the last bit


def _learned(columns: pd.DataFrame, wanted: Floats, seen: NDArray[np.bool_], held: NDArray[np.bool_]) -> Floats:
    """Scores of the rows `held`, (·, K), learned on those `seen`, whose classes `wanted` (N, K) holds as 0 and 1."""
    design = np.hstack([_bins(columns[name], seen) for name in columns.columns])
    share = wanted[seen].mean(axis=0)
    inside = design[seen]
    weights = np.linalg.solve(inside.T @ inside + _RIDGE * np.eye(design.shape[1]), inside.T @ (wanted[seen] - share))
    return np.asarray(share + design[held] @ weights)


def folds_of(truth: NDArray[np.int64], groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) 0 … FOLDS-1, whole groups, each class dealt out evenly; the same for the same input."""
    first = pd.Series(truth).groupby(groups).first()  # by group number
    order = np.random.default_rng(0).permutation(len(first))
    order = order[np.argsort(first.to_numpy()[order], kind="stable")]
    fold = np.empty(len(first), dtype=np.int64)
    fold[order] = np.arange(len(first)) % FOLDS
    return np.asarray(fold[groups], dtype=np.int64)


def _bins(values: pd.Series, seen: NDArray[np.bool_]) -> Floats:
    """(N, B) one-hot; edges and levels are those of the `seen` rows."""
    numbers = numbers_of(values)
    if numbers is None:
        levels = values[seen].value_counts().index[:_LEVELS]
        place = np.asarray(pd.Categorical(values, categories=levels).codes, dtype=np.int64)
        return np.asarray(np.eye(len(levels) + 1)[place], dtype=np.float64)  # -1, the last, is all others
    known = numbers[seen & np.isfinite(numbers)]
    edges = np.unique(np.quantile(known, np.arange(1, BINS) / BINS)) if len(known) else np.empty(0)
    filled = np.nan_to_num(numbers)  # what equals an edge has a bin of its own: half of all images may have exactly 0 marks
    place = np.searchsorted(edges, filled, side="left") + np.searchsorted(edges, filled, side="right")
    place = np.where(np.isfinite(numbers), place, 2 * len(edges) + 1)
    return np.asarray(np.eye(2 * len(edges) + 2)[place], dtype=np.float64)


def clear_examples(scores: Floats, labels: Sequence[str], most: int = 4) -> list[int]:
    """Positions of the rows that are told most clearly and rightly, `most` of each class, classes in turn."""
    names, truth = np.unique(np.asarray(labels, dtype=str), return_inverse=True)
    own = scores[np.arange(len(truth)), truth]
    right = np.flatnonzero(scores.argmax(axis=1) == truth)
    by_class = [right[truth[right] == k] for k in range(len(names))]
    ranked = [rows[np.argsort(-own[rows], kind="stable")][:most] for rows in by_class]
    return [int(rows[place]) for place in range(most) for rows in ranked if place < len(rows)]
