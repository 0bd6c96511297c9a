"""Two models on the same images: the difference of a figure, its interval, and what may be said of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.stats import t

from medtl.evaluation.influence import Linear


@dataclass(frozen=True)
class Contrast:
    """`candidate` less `reference`, with what the groups say of it."""

    reference: float
    candidate: float
    error: float
    """Standard error of the difference, over groups."""
    freedom: int

    @property
    def value(self) -> float:
        return self.candidate - self.reference

    @property
    def low(self) -> float:
        """Of the 95 % interval."""
        return self.value - self._half

    @property
    def high(self) -> float:
        """Of the 95 % interval."""
        return self.value + self._half

    def p_above(self, bound: float) -> float:
        """One-sided, that the difference is `bound` or less: of non-inferiority with -margin, of superiority with 0."""
        if math.isnan(self.error):
            return 1.0
        if self.error == 0:
            return 0.0 if self.value > bound else 1.0
        return float(t.sf((self.value - bound) / self.error, self.freedom))

    @property
    def p(self) -> float:
        """Two-sided, that there is no difference."""
        above = self.p_above(0.0)
        return 1.0 if math.isnan(self.error) or self.value == 0 else min(1.0, 2 * min(above, 1 - above))

    @property
    def _half(self) -> float:
        return float(t.ppf(0.975, self.freedom)) * self.error


def contrast(candidate: Linear, reference: Linear) -> Contrast:
    """The same figure of two models on the same groups. NaN error where fewer than two groups count."""
    groups = min(candidate.groups, reference.groups)
    if groups < 2:
        return Contrast(reference.value, candidate.value, math.nan, 1)
    moved = candidate.influence - reference.influence
    number = len(moved)
    return Contrast(reference.value, candidate.value, math.sqrt(number / (number - 1) * float(moved @ moved)), groups - 1)
