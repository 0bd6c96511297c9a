"""Several findings per image: calibration and a threshold for each finding by itself, from the validation images of which it is known.

A finding is a task of two classes with the logits (-z/2, z/2), so calibration and threshold are fitted by the same functions, with the same
priors, as for two classes: `p = sigmoid(z / T + b)`, a temperature T and an intercept b per finding (Platt 1999).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from medtl.decisions import calibration, threshold
from medtl.errors import MedtlError
from medtl.registry import Settings

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PerClass:
    """`temperature` > 0 and `intercept` (log-odds) of each of K findings."""

    temperature: tuple[float, ...]
    intercept: tuple[float, ...]

    def __post_init__(self) -> None:
        finite = np.isfinite([*self.temperature, *self.intercept]).all()
        if len(self.temperature) != len(self.intercept) or not finite or min(self.temperature, default=1.0) <= 0:
            raise MedtlError(
                f"calibration: temperature {self.temperature} and intercept {self.intercept} must be finite and equally many, "
                "temperatures above 0"
            )

    def apply(self, logits: ArrayLike) -> Floats:
        """(N, K) log-odds → (N, K) probabilities, each by itself; a row with NaN (an unread image) stays NaN."""
        given = np.asarray(logits, dtype=np.float64)
        if given.ndim != 2 or given.shape[1] != len(self.intercept):
            raise MedtlError(f"calibration: fitted for {len(self.intercept)} findings, given logits of shape {given.shape}")
        probabilities: Floats = expit(given / np.asarray(self.temperature) + np.asarray(self.intercept))
        return probabilities

    def to_json(self) -> dict[str, Any]:
        return {"temperature": list(self.temperature), "intercept": list(self.intercept)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> PerClass:
        """The inverse of :meth:`to_json`; raises :class:`MedtlError` where something is missing or no number."""
        try:
            return cls(*(tuple(float(value) for value in stored[key]) for key in ("temperature", "intercept")))
        except (KeyError, TypeError, ValueError) as error:
            raise MedtlError(
                f"calibration: expected `temperature` and `intercept` as lists of numbers ({type(error).__name__}: {error})"
            ) from None


def fit_calibration(logits: ArrayLike, truth: ArrayLike, method: str = "temperature-intercept") -> PerClass:
    """`logits` (N, K) log-odds, finite; `truth` (N, K) 1, 0 or NaN = unknown; `method` and refusals as of `calibration.fit`."""
    given, true = np.asarray(logits, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    fitted = []
    for z, present in zip(given.T, true.T, strict=True):
        known = np.isfinite(present)
        half = z[known] / 2
        fitted.append(calibration.fit(np.stack([-half, half], axis=1), present[known], method))
    return PerClass(tuple(each.temperature for each in fitted), tuple(each.intercept[1] - each.intercept[0] for each in fitted))


def fit_thresholds(probabilities: ArrayLike, truth: ArrayLike, rule: Settings | str = "youden") -> tuple[threshold.Cut, ...]:
    """(N, K) probabilities and (N, K) truth (NaN = unknown) → the best threshold of each finding, as by `threshold.fit`."""
    given, true = np.asarray(probabilities, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    return tuple(
        threshold.fit(p[np.isfinite(present)], present[np.isfinite(present)] == 1, rule) for p, present in zip(given.T, true.T, strict=True)
    )


def decide_each(probabilities: ArrayLike, thresholds: ArrayLike) -> Floats:
    """(N, K) probabilities and (K,) thresholds → (N, K) 1 where p >= threshold, else 0; NaN rows stay NaN."""
    p = np.asarray(probabilities, dtype=np.float64)
    return np.where(np.isnan(p), np.nan, p >= np.asarray(thresholds, dtype=np.float64))
