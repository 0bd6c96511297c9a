"""How well scores rank: AUROC and AUPRC of one class against the rest, for one table or for many reweightings of it.

AUROC is the share of (positive, negative) pairs in the right order, a tie counting half (Hanley & McNeil 1982). AUPRC is
average precision: the mean, over positives, of the precision at their own score (no interpolation), as scikit-learn's.
Both follow from where the positives stand among the negatives, so rows are sorted once, however many bootstrap weights follow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Positions = NDArray[np.int64]


@dataclass(frozen=True)
class RankOrder:
    """One class against the rest: rows of positives and negatives by falling score, and how they interleave."""

    positives: Positions
    """(P,) rows."""
    negatives: Positions
    """(M,) rows."""
    above: Positions
    """(P,) how many negatives score higher than the positive."""
    not_below: Positions
    """(P,) how many negatives score at least as high."""
    tied_to: Positions
    """(P,) how many positives score at least as high, itself included."""


def rank(is_positive: ArrayLike, score: ArrayLike) -> RankOrder:
    """Sort (N,) finite scores of which `is_positive` (N,) says the side."""
    side, value = np.asarray(is_positive, dtype=bool), np.asarray(score, dtype=np.float64)
    falling = np.argsort(-value, kind="stable")
    positives, negatives = falling[side[falling]], falling[~side[falling]]
    positive_scores, negative_scores = -value[positives], -value[negatives]
    return RankOrder(
        positives=positives,
        negatives=negatives,
        above=np.searchsorted(negative_scores, positive_scores, side="left"),
        not_below=np.searchsorted(negative_scores, positive_scores, side="right"),
        tied_to=np.searchsorted(positive_scores, positive_scores, side="right"),
    )


def curves_areas(order: RankOrder, counts: NDArray[np.floating], groups: Positions) -> tuple[Floats, Floats]:
    """AUROC and AUPRC, each (R,), under R weightings: row i weighs `counts[groups[i]]` (G, R). NaN where a side has no weight."""
    positive = counts[groups[order.positives]]
    negative_sum = _running_sum(counts[groups[order.negatives]])
    positive_sum = _running_sum(positive)
    all_positive, all_negative = positive_sum[-1].astype(np.float64), negative_sum[-1].astype(np.float64)
    false = negative_sum[order.not_below]
    true = positive_sum[order.tied_to]
    lost = (positive * (negative_sum[order.above] + false)).sum(axis=0, dtype=np.float64) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        auroc = 1 - lost / (all_positive * all_negative)
        precision = np.where(positive > 0, true / (true + false), 0)
        auprc = (positive * precision).sum(axis=0, dtype=np.float64) / all_positive
    defined = (all_positive > 0) & (all_negative > 0)
    return np.where(defined, np.clip(auroc, 0, 1), np.nan), np.where(defined, np.clip(auprc, 0, 1), np.nan)


def one_against_rest(truth: ArrayLike, probabilities: ArrayLike, positive: int | None = None) -> list[RankOrder]:
    """The orders whose areas are averaged: the positive class's alone for two classes (default: the second), else every class's."""
    side, p = np.asarray(truth), np.asarray(probabilities, dtype=np.float64)
    judged = [1 if positive is None else positive] if p.shape[1] == 2 else range(p.shape[1])
    return [rank(side == k, p[:, k]) for k in judged]


def auroc(truth: ArrayLike, probabilities: ArrayLike, positive: int | None = None) -> float:
    """AUROC in [0, 1] of `truth` (N,) positions and `probabilities` (N, K): the positive class's (default: the second) for K = 2,
    else the mean over classes that have cases on both sides. NaN where there is none."""
    return _macro(truth, probabilities, positive, which=0)


def auprc(truth: ArrayLike, probabilities: ArrayLike, positive: int | None = None) -> float:
    """AUPRC in [0, 1], of the same classes as :func:`auroc`. Chance level is the class's prevalence, not 0.5."""
    return _macro(truth, probabilities, positive, which=1)


def _macro(truth: ArrayLike, probabilities: ArrayLike, positive: int | None, which: int) -> float:
    each = np.array([area[which] for area in areas(truth, probabilities, positive)])
    return float(np.nanmean(each)) if np.isfinite(each).any() else float("nan")


def areas(truth: ArrayLike, probabilities: ArrayLike, positive: int | None = None) -> list[tuple[float, float]]:
    """(AUROC, AUPRC) of each judged class, NaN where a side is empty."""
    return [_areas_of(order, np.size(truth)) for order in one_against_rest(truth, probabilities, positive)]


def area_of(is_positive: ArrayLike, score: ArrayLike) -> tuple[float, float]:
    """(AUROC, AUPRC) of (N,) scores of which `is_positive` (N,) says the side, NaN where a side is empty."""
    return _areas_of(rank(is_positive, score), np.size(score))


def _areas_of(order: RankOrder, rows: int) -> tuple[float, float]:
    auroc, auprc = curves_areas(order, np.ones((1, 1)), np.zeros(rows, dtype=np.int64))
    return float(auroc[0]), float(auprc[0])


def _running_sum(weights: NDArray[np.floating]) -> NDArray[np.floating]:
    """(n, R) → (n + 1, R) sums of the first 0 … n rows."""
    total = np.empty((len(weights) + 1, weights.shape[1]), dtype=weights.dtype)
    total[0] = 0
    np.cumsum(weights, axis=0, out=total[1:])
    return total
