"""Calibration: probabilities that mean what they say, fitted on validation.

`p = softmax(logits / T + b)`. One temperature T for all classes leaves the ranking within an image alone and corrects
over- or under-confidence (temperature scaling: Guo et al., On Calibration of Modern Neural Networks, ICML 2017); an
intercept per class moves the prevalence that the network believes in (the intercept of Platt, Probabilistic Outputs for
Support Vector Machines, 1999, in its multinomial form). Both are the maximum a posteriori: the negative log-likelihood plus a
prior around "leave the logits as they are", for a few dozen images say little about either, and where they are separable
the likelihood alone runs to probabilities of exactly 0 and 1. The more images, the less the prior matters. It is Student's t, whose
tails let go where the logits are plainly on another scale (as Gelman et al., Annals of Applied Statistics 2008, use them): a network that
has hardly moved from even odds would be kept there by a normal prior.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from medtl.errors import MedtlError, did_you_mean

Floats = NDArray[np.float64]
Method = Literal["temperature-intercept", "temperature", "none"]

LOG_TEMPERATURE_DEVIATION = 0.5
INTERCEPT_DEVIATION = 0.25
"""Scales of the prior on log T and on each b: within a factor 1.6, and a quarter of a log-odds, two times in three. Chosen on
held-out thirds of validation sets of about 56 images, where maximum likelihood lost 0.01 to 0.02 AUROC over pooled folds and up to
1.3 in log-likelihood (docs/decisions/0010-calibration-with-a-prior.md)."""
FREEDOM = 3.0
"""Degrees of freedom of the prior."""
LOG_TEMPERATURE_LIMIT = 10.0


@dataclass(frozen=True)
class Calibration:
    """`temperature` > 0 and `intercept` (K numbers that sum to zero, log-odds)."""

    temperature: float
    intercept: tuple[float, ...]

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature > 0 and all(map(math.isfinite, self.intercept))):
            raise MedtlError(
                f"calibration: temperature {self.temperature} and intercept {self.intercept} must be finite, temperature above 0"
            )

    def apply(self, logits: ArrayLike) -> Floats:
        """(N, K) logits → (N, K) probabilities, rows summing to 1; a row with NaN (an unread image) stays NaN."""
        given = checked(logits, len(self.intercept))
        probabilities: Floats = softmax(given / self.temperature + np.asarray(self.intercept), axis=1)
        return probabilities

    def to_json(self) -> dict[str, Any]:
        return {"temperature": self.temperature, "intercept": list(self.intercept)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Calibration:
        """The inverse of :meth:`to_json`; raises :class:`MedtlError` where something is missing or no number."""
        try:
            return cls(float(stored["temperature"]), tuple(float(value) for value in stored["intercept"]))
        except (KeyError, TypeError, ValueError) as error:
            raise MedtlError(f"calibration: expected `temperature` and `intercept` as numbers ({type(error).__name__}: {error})") from None

    @classmethod
    def identity(cls, classes: int) -> Calibration:
        """Plain softmax over so many classes."""
        return cls(1.0, (0.0,) * classes)


def fit(logits: ArrayLike, truth: ArrayLike, method: str = "temperature-intercept") -> Calibration:
    """Fit on validation. Deterministic: float64, L-BFGS with the analytic gradient, no randomness.

    `logits` (N, K), finite; `truth` (N,) class positions 0 … K-1. Raises :class:`MedtlError` on an unknown method, no
    rows, values that are not finite, or positions that are no class.
    """
    given = checked(logits)
    classes = given.shape[1]
    if method not in get_args(Method):
        raise MedtlError(
            f"calibration: '{method}' is unknown{did_you_mean(method, get_args(Method))}; there are: {', '.join(get_args(Method))}"
        )
    if method == "none":
        return Calibration.identity(classes)
    target = checked_truth(given, truth)
    centred = given - given.mean(axis=1, keepdims=True)
    found = climbed(_loss, (centred, target), [(None, None)] * (classes if method == "temperature-intercept" else 0))
    intercept = found[1:] - found[1:].mean() if len(found) > 1 else np.zeros(classes)
    return Calibration(math.exp(found[0]), tuple(intercept.tolist()))


def _loss(parameters: Floats, logits: Floats, truth: NDArray[np.int64]) -> tuple[float, Floats]:
    """Negative log-posterior per image, and its gradient in (log T, b); without b in `parameters`, b = 0."""
    scaled = logits * math.exp(-parameters[0])
    intercept = parameters[1:]
    log_p = log_softmax(scaled + intercept if intercept.size else scaled, axis=1)
    rows = np.arange(len(truth))
    held, pull = prior(parameters, np.r_[LOG_TEMPERATURE_DEVIATION, np.full(len(intercept), INTERCEPT_DEVIATION)])
    loss = -float(log_p[rows, truth].mean()) + held / len(truth)
    residual = np.exp(log_p)
    residual[rows, truth] -= 1
    residual /= len(truth)
    gradient = pull / len(truth)
    gradient[0] -= np.sum(residual * scaled)
    if intercept.size:
        gradient[1:] += residual.sum(axis=0)
    return loss, gradient


def prior(parameters: Floats, scales: Floats) -> tuple[float, Floats]:
    """Negative log-density of Student's t around 0 with these scales, up to a constant, and its gradient."""
    inside = FREEDOM * scales**2 + parameters**2
    return (FREEDOM + 1) / 2 * float(np.log(inside / (FREEDOM * scales**2)).sum()), (FREEDOM + 1) * parameters / inside


def climbed(loss: Callable[..., tuple[float, Floats]], given: tuple[Floats, NDArray[np.int64]], bounds: list[Any]) -> Floats:
    """The parameters of the highest posterior: log T, then so many as there are `bounds`. `given`: logits and truth.

    It is climbed from logits as they are (huge ones, which saturate, made smaller) and, as with such tails it may have two summits, from
    small ones made larger."""
    spread = max(float(np.sqrt(np.mean(given[0] ** 2))), math.exp(-LOG_TEMPERATURE_LIMIT))
    found = [
        minimize(
            loss,
            np.r_[begin, np.zeros(len(bounds))],
            args=given,
            jac=True,
            method="L-BFGS-B",
            bounds=[(-LOG_TEMPERATURE_LIMIT, LOG_TEMPERATURE_LIMIT), *bounds],
            options={"maxiter": 2000, "ftol": 1e-14, "gtol": 1e-9},
        )
        for begin in sorted({math.log(max(1.0, spread)), math.log(spread)}, reverse=True)
    ]
    best: Floats = min(found, key=lambda each: float(each.fun)).x
    return best


def checked(logits: ArrayLike, classes: int | None = None) -> Floats:
    """(N, K) float64. Raises :class:`MedtlError` for another shape, or for other than so many `classes`."""
    given = np.asarray(logits, dtype=np.float64)
    if given.ndim != 2 or given.shape[1] < 2:
        raise MedtlError(f"calibration: logits of shape {given.shape}; expected (images, classes) with at least two classes")
    if classes is not None and given.shape[1] != classes:
        raise MedtlError(f"calibration: fitted for {classes} classes, given {given.shape[1]}")
    return given


def checked_truth(logits: Floats, truth: ArrayLike) -> NDArray[np.int64]:
    """(N,) positions of the true classes; raises as :func:`fit`."""
    (n, classes), target = logits.shape, np.asarray(truth, dtype=np.int64)
    if n == 0 or target.shape != (n,):
        raise MedtlError(
            f"calibration: {n} rows of logits and {target.size} true classes; at least one row, and as many of each, are needed"
        )
    if not np.isfinite(logits).all():
        raise MedtlError("calibration: some logits are not finite; leave unread images out, and check that training did not diverge")
    if target.min() < 0 or target.max() >= classes:
        raise MedtlError(f"calibration: true classes are {target.min()} … {target.max()}; allowed: 0 … {classes - 1}")
    return target
