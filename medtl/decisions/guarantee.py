"""A threshold that keeps a recall (or a specificity) of patients to come, with a stated confidence.

Learn-then-Test (Angelopoulos, Bates, Candès, Jordan & Lei, Annals of Applied Statistics 2025; 19: 1641-1662) for one rate: thresholds
are tested one after another, from the safest on, each by the exact binomial test of "the rate is too low", and the last one that passes
before the first that fails is taken. A rate that only falls on the way needs no grid of thresholds stated before (Bates et al., Journal of
the ACM 2021; 68: 43), and the result is Wilks' tolerance limit (1941): the (k+1)-th score from the wrong end, k being the most misses
with which the upper Clopper-Pearson limit of the miss rate still is what was allowed.

The binomial test wants independent cases, and images of one patient are none. So one image of each group counts, drawn by a hash that knows
no label and no score: the cases are then independent, and the rate is that of a patient drawn at random, then one of the patient's images.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr

from medtl.decisions.settings import Measure


class Guaranteed(NamedTuple):
    """A threshold with a guarantee, or why there is none."""

    threshold: float | None
    """Positive where p >= it; None: out of reach."""
    groups: int
    """On how many it was tested, one image each."""
    wrong: int | None
    """How many of these are on the wrong side; None: out of reach."""


def most_wrong(groups: int, at_least: float, confidence: float) -> int:
    """With how many wrong of so many groups the guarantee still holds; -1: not even with none.

    The largest k for which P(at most k wrong of `groups` | a rate of just `at_least`) is no more than 1 - `confidence`.
    """
    chance = bdtr(np.arange(groups), groups, 1 - at_least)
    return int((chance <= (1 - confidence) * (1 + 1e-12)).sum()) - 1


def fewest_groups(at_least: float, confidence: float) -> int:
    """How many groups it takes where none is wrong: 59 for a recall of 0.95 at a confidence of 0.95."""
    return math.ceil(math.log(1 - confidence) / math.log(at_least) * (1 - 1e-12))


def fit(
    p_positive: ArrayLike,
    is_positive: ArrayLike,
    groups: ArrayLike,
    drawn: ArrayLike,
    measure: Measure,
    at_least: float,
    confidence: float,
) -> Guaranteed:
    """The threshold nearest to the other class that keeps the guarantee, from cases that chose nothing else.

    `p_positive` (N,) finite, in [0, 1]; `is_positive` (N,) bool; `groups` (N,) whose image it is; `drawn` (N,) uniform numbers that know
    neither labels nor scores: of a group's positive (for specificity: negative) images the one with the smallest counts.
    """
    recall, positive = measure == "recall", np.asarray(is_positive, dtype=bool)
    score = np.asarray(p_positive, dtype=np.float64) * (1 if recall else -1)  # the wrong ones are those that score too low
    own = _one_each(np.flatnonzero(positive == recall), np.asarray(groups), np.asarray(drawn, dtype=np.float64))
    scores = np.sort(score[own])
    most = most_wrong(len(scores), at_least, confidence) if len(scores) else -1
    cut = None if most < 0 else _before(float(scores[most]), score, recall)
    if cut is None:
        return Guaranteed(None, len(scores), None)
    return Guaranteed(abs(cut), len(scores), int((scores < scores[most]).sum()))


def of_the_other_side(
    p_positive: ArrayLike, is_positive: ArrayLike, groups: ArrayLike, drawn: ArrayLike, measure: Measure, threshold: float
) -> tuple[int, int]:
    """What the guarantee costs: groups of the other side (the negatives, for a recall), one image each, and how many of these `threshold`
    leaves on their right side. Arguments as of :func:`fit`, whose threshold they have no say in."""
    recall, score = measure == "recall", np.asarray(p_positive, dtype=np.float64)
    other = np.flatnonzero(np.asarray(is_positive, dtype=bool) != recall)
    own = _one_each(other, np.asarray(groups), np.asarray(drawn, dtype=np.float64))
    return len(own), int(((score[own] < threshold) == recall).sum())


def _one_each(positions: NDArray[np.intp], groups: NDArray[np.generic], drawn: NDArray[np.float64]) -> NDArray[np.intp]:
    """Of `positions` the one with the smallest draw in each group."""
    order = positions[np.argsort(drawn[positions], kind="stable")]
    return order[np.unique(groups[order], return_index=True)[1]]


def _before(last: float, score: NDArray[np.float64], reached_is_right: bool) -> float | None:
    """Midway between a score and the next lower one of all cases (else the end of the scale), so that rounding on another machine moves no
    image across; the guarantee holds for every such threshold. None where it must lie beyond the end."""
    lower = float(max(score[score < last], default=0.0 if reached_is_right else -1.0))
    middle = (last + lower) / 2
    if middle < last:
        return middle
    return last if reached_is_right else (lower if lower < last else None)
