"""Which share of a gap was closed: a ratio of two figures of the same trainings and patients, with an interval.

The interval holds every share for which `gained - share * gap` cannot be told from nothing by its own interval (Fieller, Journal of the
Royal Statistical Society B 1954), so that it knows patients, trainings, and that both figures move together. It is finite exactly where the
gap is shown; where it is not, there is nothing to have a share of.
"""

from __future__ import annotations

from dataclasses import dataclass

from scipy.optimize import brentq

from medtl.evaluation.crossed import Repeated, interval
from medtl.evaluation.intervals import Interval

_WIDEST = 1e6


@dataclass(frozen=True)
class Share:
    """Of the gap; below 0 it was widened, above 1 more than closed."""

    value: float
    low: float
    high: float


def recovered(gained: Repeated, gap: Repeated) -> Share | None:
    """`gained` over `gap`, both against the same start; None where the gap's 95 % interval does not lie above 0."""
    if interval(gap).low <= 0:
        return None
    value = gained.mean / gap.mean
    return Share(value, _end(gained, gap, value, -1), _end(gained, gap, value, 1))


def _end(gained: Repeated, gap: Repeated, value: float, side: int) -> float:
    """The farthest share on one side that cannot be told from the true one."""

    def margin(share: float) -> float:
        low, high = _left(gained, gap, share)
        return min(-low, high)  # above 0 inside

    step = 0.125
    while margin(value + side * step) > 0:
        step *= 2
        if step > _WIDEST:
            return side * float("inf")
    return float(brentq(margin, value, value + side * step, xtol=1e-9)) if margin(value) > 0 else value


def _left(gained: Repeated, gap: Repeated, share: float) -> Interval:
    return interval(gained.less(gap.times(share)))
