"""Two models on the same images: the difference of a figure, its interval, and what may be said of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.stats import t

from medtl.evaluation.influence import Linear
from medtl.evaluation.paired_share import PairedShare

ERROR = 0.025
"""Of either end of a 95 % interval."""


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

    def p_below(self, bound: float) -> float:
        """One-sided, that the difference is `bound` or more: of being worse with 0."""
        return Contrast(-self.reference, -self.candidate, self.error, self.freedom).p_above(-bound)

    @property
    def p(self) -> float:
        """Two-sided, that there is no difference."""
        return min(1.0, 2 * min(self.p_above(0.0), self.p_below(0.0)))

    @property
    def _half(self) -> float:
        return float(t.isf(ERROR, self.freedom)) * self.error


@dataclass(frozen=True)
class ShareContrast(Contrast):
    """Of a share: by Tango's score statistic, for the Wald test of a margin claims far too much where few cases differ."""

    paired: PairedShare

    @property
    def low(self) -> float:
        return math.nan if math.isnan(self.error) else self.paired.low(ERROR)

    @property
    def high(self) -> float:
        return math.nan if math.isnan(self.error) else self.paired.high(ERROR)

    def p_above(self, bound: float) -> float:
        return 1.0 if math.isnan(self.error) else self.paired.p_above(bound)

    def p_below(self, bound: float) -> float:
        return 1.0 if math.isnan(self.error) else self.paired.p_below(bound)


def contrast(candidate: Linear, reference: Linear) -> Contrast:
    """The same figure of two models on the same groups. NaN error where fewer than two groups count."""
    groups = min(candidate.groups, reference.groups)
    if groups < 2:
        return Contrast(reference.value, candidate.value, math.nan, 1)
    moved = candidate.influence - reference.influence
    number = len(moved)
    return Contrast(reference.value, candidate.value, math.sqrt(number / (number - 1) * float(moved @ moved)), groups - 1)


def contrast_of_shares(candidate: Linear, reference: Linear, paired: PairedShare) -> ShareContrast:
    """As :func:`contrast`, of shares of the same images that are right."""
    found = contrast(candidate, reference)
    return ShareContrast(found.reference, found.candidate, found.error, found.freedom, paired)
