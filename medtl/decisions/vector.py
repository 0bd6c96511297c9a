"""Vector scaling: a slope and an intercept per class (Guo et al., On Calibration of Modern Neural Networks, ICML 2017).

`p = softmax(s · z + b)` over logits z whose mean over the classes is taken off. For several classes of which the network is sure of some
more rightly than of others. As with one temperature (:mod:`medtl.decisions.calibration`), and for the same reasons, it is the maximum a
posteriori: log s is log 1/T, with that module's prior, plus a deviation of each class's own with a normal prior of mean 0; so classes of
few images share what all say. Of two classes only the sum of both slopes matters: there it is Platt scaling, and so is one temperature.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax, softmax

from medtl.decisions.calibration import INTERCEPT_DEVIATION, LOG_TEMPERATURE_DEVIATION, LOG_TEMPERATURE_LIMIT, checked, climbed, prior
from medtl.errors import MedtlError

Floats = NDArray[np.float64]
KIND = "vector"
SLOPE_DEVIATION = 0.25
"""Of log s_k around log 1/T: a class's own slope is within a factor 1.3 of the others', two times in three."""


@dataclass(frozen=True)
class VectorCalibration:
    """`slope` > 0 and `intercept` (summing to zero, log-odds) of each of K classes."""

    slope: tuple[float, ...]
    intercept: tuple[float, ...]

    def __post_init__(self) -> None:
        finite = all(map(math.isfinite, (*self.slope, *self.intercept)))
        if len(self.slope) != len(self.intercept) or not finite or min(self.slope, default=0.0) <= 0:
            raise MedtlError(
                f"calibration: slope {self.slope} and intercept {self.intercept} must be finite and equally many, slopes above 0"
            )

    def apply(self, logits: ArrayLike) -> Floats:
        """(N, K) logits → (N, K) probabilities, rows summing to 1; a row with NaN (an unread image) stays NaN."""
        given = checked(logits, len(self.slope))
        scaled = (given - given.mean(axis=1, keepdims=True)) * np.asarray(self.slope) + np.asarray(self.intercept)
        probabilities: Floats = softmax(scaled, axis=1)
        return probabilities

    def to_json(self) -> dict[str, Any]:
        return {"kind": KIND, "slope": list(self.slope), "intercept": list(self.intercept)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> VectorCalibration:
        """The inverse of :meth:`to_json`; raises :class:`MedtlError` where something is missing or no number."""
        try:
            return cls(*(tuple(float(value) for value in stored[key]) for key in ("slope", "intercept")))
        except (KeyError, TypeError, ValueError) as error:
            raise MedtlError(f"calibration: expected `slope` and `intercept` as numbers ({type(error).__name__}: {error})") from None


def fit(logits: Floats, truth: NDArray[np.int64]) -> VectorCalibration:
    """`logits` (N, K), finite; `truth` (N,) positions. Deterministic, as `calibration.fit`, which checks what is given."""
    classes = logits.shape[1]
    centred = logits - logits.mean(axis=1, keepdims=True)
    limits = [(-LOG_TEMPERATURE_LIMIT, LOG_TEMPERATURE_LIMIT)] * classes + [(None, None)] * classes
    found = climbed(_loss, (centred, truth), limits)
    slope, intercept = np.exp(found[1 : 1 + classes] - found[0]), found[1 + classes :]
    return VectorCalibration(tuple(slope.tolist()), tuple((intercept - intercept.mean()).tolist()))


def _loss(parameters: Floats, logits: Floats, truth: NDArray[np.int64]) -> tuple[float, Floats]:
    """Negative log-posterior per image, and its gradient in (log T, each class's deviation from -log T, b)."""
    n, classes = logits.shape
    own, intercept = parameters[1 : 1 + classes], parameters[1 + classes :]
    scaled = logits * np.exp(own - parameters[0])
    log_p = log_softmax(scaled + intercept, axis=1)
    shared = np.r_[True, np.zeros(classes, bool), np.ones(classes, bool)]
    pull = np.where(shared, 0.0, parameters / SLOPE_DEVIATION**2)
    held = float(pull @ parameters) / 2
    of_shared, pull[shared] = prior(parameters[shared], np.r_[LOG_TEMPERATURE_DEVIATION, np.full(classes, INTERCEPT_DEVIATION)])
    loss = -float(log_p[np.arange(n), truth].mean()) + (held + of_shared) / n
    residual = np.exp(log_p)
    residual[np.arange(n), truth] -= 1
    residual /= n
    of_slopes = (residual * scaled).sum(axis=0)
    return loss, pull / n + np.concatenate([[-of_slopes.sum()], of_slopes, residual.sum(axis=0)])
