"""Where the threshold of two classes is put. Contract of a file: `Settings` (with `name`) and these functions.

`gain(settings, counts) -> (M,)`: how good each of M candidate thresholds is; -inf where it does not keep what the settings ask for.

`nearest(settings, counts) -> (M,)`, of rules that may be out of reach: what is maximised then.

`said(settings) -> str`: the rule in the field's words, `sensitivity >= 0.95`; it goes into the package.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Counts:
    """Of M candidate thresholds on the same cases."""

    true_positives: Floats
    """(M,)"""
    false_positives: Floats
    """(M,)"""
    positives: float
    negatives: float

    @property
    def sensitivity(self) -> Floats:
        """(M,)"""
        return self.true_positives / self.positives

    @property
    def specificity(self) -> Floats:
        """(M,)"""
        return 1 - self.false_positives / self.negatives

    def ppv(self, prevalence: float | None = None) -> Floats:
        """(M,) share of the called that are positive, at a `prevalence` (None: these cases' own); NaN where nothing is called."""
        share = self.positives / (self.positives + self.negatives) if prevalence is None else prevalence
        right, wrong = self.sensitivity * share, (1 - self.specificity) * (1 - share)
        with np.errstate(invalid="ignore"):
            return np.where(right + wrong > 0, right / (right + wrong), np.nan)


def kept(values: Floats, bound: float) -> NDArray[np.bool_]:
    """(M,) whether a candidate keeps `at_least: bound`, rounding aside."""
    return np.nan_to_num(values, nan=-1.0) >= bound - 1e-12
