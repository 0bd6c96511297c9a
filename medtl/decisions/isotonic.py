"""Isotonic calibration: any rising curve from log-odds to log-odds (Zadrozny & Elkan, KDD 2002), for two classes or for each finding.

It assumes no shape and pays for that with cases: with a few dozen it remembers them (Niculescu-Mizil & Caruana, Predicting Good
Probabilities with Supervised Learning, ICML 2005), so fewer than :data:`FEWEST` of either side are refused. Three things keep it from harm:

- Platt's targets, (n₊ + 1) / (n₊ + 2) and 1 / (n₋ + 2), in place of 1 and 0: no probability becomes exactly 0 or 1, which one surprise
  would punish without end.
- Blocks of equal height stand at the mean of their cases and are joined by straight lines (centred isotonic regression: Oron & Flournoy,
  Statistics in Biopharmaceutical Research 2017), so ranks within a block are kept.
- Beyond the first and last block the curve goes on with a slope of :data:`TAIL`: flat for all purposes, and still without ties.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import isotonic_regression
from scipy.special import expit, logit

from medtl.decisions.calibration import checked
from medtl.errors import MedtlError

Floats = NDArray[np.float64]
KIND = "isotonic"
FEWEST = 100
"""Of either side, in validation."""
TAIL = 1e-3
"""Log-odds out for one log-odds in."""

ROUNDING = 1e-9
"""Blocks whose heights (probabilities) differ by less are one."""


@dataclass(frozen=True)
class Curve:
    """Rising knots: log-odds of the network and log-odds that are meant, equally many."""

    given: tuple[float, ...]
    meant: tuple[float, ...]

    def __post_init__(self) -> None:
        knots = np.array([self.given, self.meant]) if len(self.given) == len(self.meant) else np.empty((2, 0))
        if not knots.size or not np.isfinite(knots).all() or (np.diff(knots) <= 0).any():
            raise MedtlError(
                f"calibration: {len(self.given)} and {len(self.meant)} knots of an isotonic curve; expected as many, finite and rising"
            )

    def apply(self, log_odds: ArrayLike) -> Floats:
        """(N,) → (N,) log-odds, strictly rising; NaN stays NaN."""
        z = np.asarray(log_odds, dtype=np.float64)
        bent: Floats = np.interp(z, self.given, self.meant) + TAIL * (z - np.clip(z, self.given[0], self.given[-1]))
        return bent


@dataclass(frozen=True)
class IsotonicCalibration:
    """One curve for two classes (of the second one's log-odds), or one for each of several findings."""

    curves: tuple[Curve, ...]

    def apply(self, logits: ArrayLike) -> Floats:
        """(N, 2) logits → (N, 2) probabilities that sum to 1, or (N, K) log-odds of K findings → (N, K); NaN rows stay NaN."""
        given = checked(logits, max(2, len(self.curves)))
        if len(self.curves) == 1:
            positive = self.curves[0].apply(given[:, 1] - given[:, 0])
            return np.stack([expit(-positive), expit(positive)], axis=1)
        return np.stack([expit(curve.apply(z)) for curve, z in zip(self.curves, given.T, strict=True)], axis=1)

    def to_json(self) -> dict[str, Any]:
        return {"kind": KIND, "given": [list(each.given) for each in self.curves], "meant": [list(each.meant) for each in self.curves]}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> IsotonicCalibration:
        """The inverse of :meth:`to_json`; raises :class:`MedtlError` where something is missing or no number."""
        try:
            knots = zip(*([tuple(map(float, each)) for each in stored[key]] for key in ("given", "meant")), strict=True)
            return cls(tuple(Curve(*each) for each in knots))
        except (KeyError, TypeError, ValueError) as error:
            raise MedtlError(f"calibration: expected `given` and `meant` as lists of numbers ({type(error).__name__}: {error})") from None


def refuse_few(truth: ArrayLike, what: str = "") -> None:
    """Raises :class:`MedtlError` where `truth` (N,) of 0 and 1 holds fewer than :data:`FEWEST` of either; `what` names the finding."""
    present = int(np.sum(np.asarray(truth) == 1))
    absent = int(np.sum(np.asarray(truth) == 0))
    if min(present, absent) < FEWEST:
        raise MedtlError(
            f"decision.calibration: isotonic needs {FEWEST} images of either side{f' of {what}' if what else ''} to learn a curve from, "
            f"and there are {present:,} with and {absent:,} without; choose temperature-intercept, or hold more images back"
        )


def fit_curve(log_odds: ArrayLike, truth: ArrayLike) -> Curve:
    """The rising curve that is likeliest on these cases. `log_odds` (N,) finite; `truth` (N,) 1 or 0. Raises as :func:`refuse_few`."""
    refuse_few(truth)
    positive = np.asarray(truth) == 1
    target = np.where(positive, (positive.sum() + 1) / (positive.sum() + 2), 1 / ((~positive).sum() + 2))
    z, place, weight = np.unique(np.asarray(log_odds, dtype=np.float64), return_inverse=True, return_counts=True)
    height = isotonic_regression(np.bincount(place, weights=target) / weight, weights=weight).x
    starts = np.flatnonzero(np.append(True, np.diff(height) > ROUNDING))
    centre = np.add.reduceat(z * weight, starts) / np.add.reduceat(weight, starts)
    return Curve(tuple(centre.tolist()), tuple(logit(height[starts]).tolist()))
