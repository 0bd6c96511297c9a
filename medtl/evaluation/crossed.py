"""A figure over several trainings judged on the same test groups: an interval that crosses both kinds of chance.

Which patients are in the test and how a training happened to go (its draw of labels, its seed) are two sources of variance: they are
estimated apart and added, with Satterthwaite's degrees of freedom (Biometrics Bulletin 1946), so that three seeds count as three.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from medtl.evaluation.confusion import macro
from medtl.evaluation.intervals import Interval, Z

Floats = NDArray[np.float64]
NOTHING = 1e-12
"""A variance of rounding alone."""


@dataclass(frozen=True)
class Repeated:
    """One figure of S trainings, and of each on R draws of the test groups (the same draws for all)."""

    values: Floats
    """(S,)"""
    drawn: Floats
    """(S, R), NaN where a draw lacks what the figure needs."""
    groups: int
    """Test groups."""
    unseen: float = 0.0
    """Further variance over test groups, where draws show none because there is no error (or no hit) to draw; see :func:`crossed`."""

    @property
    def mean(self) -> float:
        return float(self.values.mean())

    def less(self, other: Repeated) -> Repeated:
        """The difference, training by training and draw by draw: what makes a patient hard for both cancels out. Trainings that have
        nothing in common may be paired all the same: their variances then add up."""
        return Repeated(self.values - other.values, self.drawn - other.drawn, self.groups, self.unseen + other.unseen)

    def times(self, factor: float) -> Repeated:
        """Every figure multiplied."""
        return Repeated(self.values * factor, self.drawn * factor, self.groups, self.unseen * factor**2)

    def above(self, bound: float) -> Repeated:
        """Every figure less a number that is no estimate."""
        return Repeated(self.values - bound, self.drawn - bound, self.groups, self.unseen)


def crossed(values: Sequence[float], drawn: Sequence[Floats], groups: int, analytic: Sequence[Interval]) -> Repeated:
    """Of S trainings: values, (R,) draws of each, and the analytic interval of each, which counts where the draws do not vary at all.

    An interval that is not known (NaN) is taken for as wide as a share's can be.
    """
    stacked, unseen = np.stack(drawn), 0.0
    if _over_groups(stacked) < NOTHING:
        widths = np.array([high - low for low, high in analytic])
        unseen = float(np.mean(np.where(np.isfinite(widths), widths, 1.0)) / (2 * Z)) ** 2
    return Repeated(np.array(values), stacked, groups, unseen)


def interval(repeated: Repeated) -> Interval:
    """95 % of the mean. With one training it speaks of the test groups alone."""
    error, freedom = _error(repeated)
    half = float(stats.t.ppf(0.975, freedom)) * error if error else 0.0
    return Interval(repeated.mean - half, repeated.mean + half)


def within(repeated: Repeated, least: float = 0.0, most: float = 1.0) -> tuple[float, float]:
    """:func:`interval` of a figure that has bounds."""
    low, high = interval(repeated)
    return max(least, low), min(most, high)


def p_value(repeated: Repeated) -> float:
    """Two-sided, of a mean of 0: less than 0.05 where :func:`interval` leaves 0 out."""
    error, freedom = _error(repeated)
    if error == 0:
        return 1.0 if repeated.mean == 0 else 0.0
    return float(2 * stats.t.sf(abs(repeated.mean) / error, freedom))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction (1979), in the order given."""
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    corrected, least = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = least
    return corrected


def _over_groups(drawn: Floats) -> float:
    """Of the mean over trainings; draws that lack what the figure needs have no part, and NaN where fewer than two have it."""
    known = macro(drawn.T)
    known = known[np.isfinite(known)]
    return float(np.var(known, ddof=1)) if len(known) > 1 else math.nan


def _error(repeated: Repeated) -> tuple[float, float]:
    """Standard error of the mean, and its degrees of freedom."""
    trainings = len(repeated.values)
    over_groups = _over_groups(repeated.drawn) + repeated.unseen
    over_trainings = float(np.var(repeated.values, ddof=1)) / trainings if trainings > 1 else 0.0
    total = over_groups + over_trainings
    if total == 0:
        return 0.0, 1.0
    parts = over_groups**2 / max(1, repeated.groups - 1) + (over_trainings**2 / (trainings - 1) if trainings > 1 else 0.0)
    return math.sqrt(total), total**2 / parts
