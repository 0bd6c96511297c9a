"""An analytic interval of an AUROC of clustered data: Obuchowski's nonparametric variance (Biometrics 1997; 53: 567-578).

With one image per group it is DeLong's (Biometrics 1988). Each positive's *placement* is the share of negatives that it outranks, each
negative's the share of positives that outrank it (a tie counts half); their sums per group vary as groups do.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata, t

from medtl.evaluation.intervals import Interval

Floats = NDArray[np.float64]


def placements(is_positive: ArrayLike, score: ArrayLike) -> tuple[float, Floats]:
    """AUROC, and (N,) of each row the share of the other side's rows that it stands on the right side of; both sides must have rows."""
    side, value = np.asarray(is_positive, dtype=bool), np.asarray(score, dtype=np.float64)
    among_all, among_own = rankdata(value), np.empty(len(value))
    among_own[side], among_own[~side] = rankdata(value[side]), rankdata(value[~side])
    below = among_all - among_own
    positives, negatives = int(side.sum()), int((~side).sum())
    placed = np.where(side, below / negatives, 1 - below / positives)
    return float(placed[side].mean()), placed


def clustered_error(is_positive: ArrayLike, score: ArrayLike, groups: ArrayLike) -> tuple[float, float]:
    """AUROC of (N,) `score`, and its standard error over `groups` (N,). NaN where fewer than two groups hold positives, or negatives."""
    side = np.asarray(is_positive, dtype=bool)
    area, placed = placements(side, score)
    members = np.unique(np.asarray(groups), return_inverse=True)[1]
    number = int(members.max()) + 1
    excess = placed - area
    up, down = (np.bincount(members, weights=np.where(part, excess, 0), minlength=number) for part in (side, ~side))
    with_up, with_down = np.unique(members[side]).size, np.unique(members[~side]).size
    m, n = int(side.sum()), int((~side).sum())
    if min(with_up, with_down) < 2:
        return area, float("nan")
    variance = (
        with_up / (with_up - 1) * float(up @ up) / m**2
        + with_down / (with_down - 1) * float(down @ down) / n**2
        + 2 * number / (number - 1) * float(up @ down) / (m * n)
    )
    return area, math.sqrt(max(0.0, variance))


def interval(area: float, error: float, groups: int) -> Interval:
    """95 % on the scale of the log-odds, which keeps it within 0 and 1; `groups`: the fewer of those with and without the class, whose t
    distribution counts. Of an area of 0 or 1, or an `error` of 0, nothing is known: (0, 1)."""
    if not 0 < area < 1 or not error > 0:
        return Interval(0.0, 1.0)
    centre, half = math.log(area / (1 - area)), float(t.ppf(0.975, groups - 1)) * error / (area * (1 - area))
    low, high = (1 / (1 + math.exp(-max(-700.0, min(700.0, centre + sign * half)))) for sign in (-1, 1))
    return Interval(low, high)
