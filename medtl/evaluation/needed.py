"""How many independent cases an interval takes: planned by the very intervals that will be reported."""

from __future__ import annotations

import math
from collections.abc import Callable

from scipy.optimize import brentq

from medtl.evaluation.intervals import auroc_interval, wilson

MOST = 10_000_000


def cases_for_share(share: float, bound: float) -> int:
    """The fewest cases of which, with `share` of them hit, Wilson's lower end reaches `bound`; 0 < bound < share ≤ 1."""
    return _fewest(lambda n: wilson(share, n).low, bound)


def cases_for_auroc(auroc: float, bound: float) -> int:
    """The fewest positives, with as many negatives, of which Newcombe's lower end reaches `bound`."""
    return _fewest(lambda n: auroc_interval(auroc, n, n).low, bound)


def share_cases(share: float, low: float) -> float:
    """How many independent cases a share of which Wilson's lower end is `low` rests on: the inverse of the interval."""
    if low <= 0 or low >= share:
        return 1.0
    return math.exp(brentq(lambda size: wilson(share, math.exp(size)).low - low, math.log(1e-3), math.log(1e12)))


def _fewest(low_of: Callable[[int], float], bound: float) -> int:
    """The least n with `low_of(n)` at least `bound`; `low_of` rises."""
    most = 1
    while low_of(most) < bound:
        most *= 2
        if most > MOST:
            return most
    least = most // 2
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (least, middle) if low_of(middle) >= bound else (middle, most)
    return most
