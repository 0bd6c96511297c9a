"""The ways of calibrating, by name (`decision.calibration`): fitting one, and reading back what a package stores.

What is stored says which it is by `kind`; without, it is temperature and intercept, as packages were before there were others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medtl.decisions import calibration, isotonic, per_class, vector
from medtl.decisions.calibration import Calibration
from medtl.decisions.isotonic import IsotonicCalibration
from medtl.decisions.per_class import PerClass
from medtl.decisions.settings import unfit
from medtl.decisions.vector import VectorCalibration
from medtl.errors import MedtlError

_KINDS: dict[str, type[VectorCalibration] | type[IsotonicCalibration]] = {
    vector.KIND: VectorCalibration,
    isotonic.KIND: IsotonicCalibration,
}


class Calibrated(Protocol):
    """What every way of calibrating gives."""

    def apply(self, logits: ArrayLike) -> NDArray[np.float64]:
        """(N, K) logits → (N, K) probabilities; NaN rows stay NaN."""

    def to_json(self) -> dict[str, Any]:
        """What a package stores."""


def fit(logits: ArrayLike, truth: ArrayLike, method: str, several: bool = False) -> Calibrated:
    """`logits` (N, K); `truth` (N,) positions, or (N, K) 1, 0 or NaN = unknown of `several` findings. Raises as `calibration.fit`."""
    given = calibration.checked(logits)
    reason = unfit(method, given.shape[1], several)
    if reason:
        raise MedtlError(f"calibration: '{method}' {reason}")
    if method == isotonic.KIND:
        return _curves(given, np.asarray(truth, np.float64), several)
    if several:
        return per_class.fit_calibration(given, truth, method)
    if method == vector.KIND:
        return vector.fit(given, calibration.checked_truth(given, truth))
    return calibration.fit(given, truth, method)


def from_json(stored: Mapping[str, Any], several: bool = False) -> Calibrated:
    """What :meth:`Calibrated.to_json` gave. Raises MedtlError for a kind that this version does not know, or where something is missing."""
    kind = stored.get("kind")
    if kind is None:
        return PerClass.from_json(stored) if several else Calibration.from_json(stored)
    if kind not in _KINDS:
        raise MedtlError(f"calibration: the kind '{kind}' is unknown to this version; update medtl")
    return _KINDS[kind].from_json(stored)


def _curves(logits: NDArray[np.float64], truth: NDArray[np.float64], several: bool) -> IsotonicCalibration:
    if not several:
        positive = calibration.checked_truth(logits, truth)
        return IsotonicCalibration((isotonic.fit_curve(logits[:, 1] - logits[:, 0], positive),))
    known = np.isfinite(truth)
    return IsotonicCalibration(
        tuple(isotonic.fit_curve(z[there], present[there]) for z, present, there in zip(logits.T, truth.T, known.T, strict=True))
    )
