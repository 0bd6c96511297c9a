"""The difference of two models' shares on the same cases: Tango's score statistic (Statistics in Medicine 1998; 17: 891-908).

Its bounds do not vanish where two models never differ: of n cases without a difference the lower one is -z² / (n + z²), so that few
patients show nothing. Images of one patient are not n cases: they weigh what :func:`medtl.evaluation.intervals.effective_cases` says of
lost and of won ones, whichever is less.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm

from medtl.evaluation.intervals import effective_cases


@dataclass(frozen=True)
class PairedShare:
    """Counts of independent cases, maybe fractional; the difference is (won - lost) / cases."""

    lost: float
    """Only the reference (the old model) is right."""
    won: float
    """Only the candidate (the new model) is right."""
    cases: float

    def low(self, error: float) -> float:
        """The difference's lower bound, one-sided at `error`, in [-1, 1]."""
        z, value = float(norm.isf(error)), (self.won - self.lost) / self.cases

        def gap(theta: float) -> float:
            return self._beyond(theta) - z * math.sqrt(self._variance(theta))

        lowest, start = -1 + 1e-9, value - 1e-9
        return float(brentq(gap, lowest, start)) if start > lowest and gap(lowest) > 0 else -1.0

    def high(self, error: float) -> float:
        """The upper bound, likewise."""
        return -self._turned.low(error)

    def p_above(self, bound: float) -> float:
        """One-sided, that the difference is `bound` (in (-1, 1)) or less: at most `error` where :meth:`low` is `bound` or more."""
        variance = self._variance(bound)
        return float(norm.sf(self._beyond(bound) / math.sqrt(variance))) if variance > 0 else 1.0

    def p_below(self, bound: float) -> float:
        """One-sided, that the difference is `bound` or more."""
        return self._turned.p_above(-bound)

    @property
    def _turned(self) -> PairedShare:
        return PairedShare(self.won, self.lost, self.cases)

    def _beyond(self, theta: float) -> float:
        return self.won - self.lost - self.cases * theta

    def _variance(self, theta: float) -> float:
        """Of the count (won - lost), if the difference were `theta`; 0 only at 0 where nothing is lost or won."""
        return max(0.0, self.cases * (2 * self._only_reference(theta) + theta * (1 - theta)))

    def _only_reference(self, theta: float) -> float:
        """The most likely share of cases that only the reference has right, if the difference were `theta` (Tango's quadratic)."""
        b = -self.won - self.lost + (2 * self.cases - self.won + self.lost) * theta
        c = -self.lost * theta * (1 - theta)
        return (math.sqrt(max(0.0, b * b - 8 * self.cases * c)) - b) / (4 * self.cases)


def paired_share(after: NDArray[np.bool_], before: NDArray[np.bool_], groups: NDArray[np.int64]) -> PairedShare:
    """Of (N,) hits of the candidate (`after`) and the reference (`before`) on the same N > 0 images of `groups` (N,)."""
    lost, won = before & ~after, after & ~before
    cases = min(len(groups), *(effective_cases(each, groups) for each in (lost, won)))
    return PairedShare(float(lost.mean()) * cases, float(won.mean()) * cases, cases)
