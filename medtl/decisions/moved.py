"""A calibration with a further step behind it, as one calibration: what `medtl recalibrate` fits is composed with what was shipped.

Every kind of calibration is linear in log-odds, or a curve between them, at its end; so a step that is linear there needs no new kind, and
what reads a package (also an exported graph) reads a re-calibrated one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import expit

from medtl.contracts import Threshold
from medtl.decisions.calibration import Calibration
from medtl.decisions.isotonic import Curve, IsotonicCalibration
from medtl.decisions.methods import Calibrated
from medtl.decisions.per_class import PerClass
from medtl.decisions.vector import VectorCalibration
from medtl.errors import MedtlError

BEYOND = 1000.0
"""So many log-odds beyond its knots a curve still bends with the step; no network says more."""


@dataclass(frozen=True)
class Step:
    """`p' = softmax(slope · log p + intercept)`; of several findings `expit(slope · logit p + intercept)`, each by itself."""

    slope: tuple[float, ...]
    """Above 0. One for all classes, or one of each finding."""
    intercept: tuple[float, ...]
    """Of each class, or of each finding."""

    def odds(self, positive: int | None) -> list[tuple[float, float]]:
        """(slope, intercept) of the log-odds that thresholds are about: of the class `positive` of two, or of each finding (None)."""
        if positive is None:
            return list(zip(self.slope, self.intercept, strict=True))
        return [(self.slope[0], self.intercept[positive] - self.intercept[1 - positive])]

    def threshold(self, shipped: Threshold, positive: int | None) -> Threshold:
        """The threshold that calls the same images; 0 and 1 call all and (nearly) none, and stay."""
        cuts = shipped if isinstance(shipped, tuple) else (shipped,)
        moved = tuple(_moved(cut, slope, by) for cut, (slope, by) in zip(cuts, self.odds(positive), strict=True))
        return moved if isinstance(shipped, tuple) else moved[0]

    def adjusted(self, shipped: Sequence[float] | None) -> tuple[float, ...]:
        """What has to be taken off log p' so that the largest is of the same class as before (:func:`medtl.decisions.threshold.decide`)."""
        before = shipped if shipped is not None else (0.0,) * len(self.intercept)
        return tuple(by + self.slope[0] * own for by, own in zip(self.intercept, before, strict=True))


def then(calibration: Calibrated, step: Step) -> Calibrated:
    """`calibration` and after it `step`, as one of the same kind. Raises MedtlError for a kind that has no such form."""
    slope, by = step.slope, step.intercept
    if isinstance(calibration, Calibration):
        return Calibration(calibration.temperature / slope[0], _linear(calibration.intercept, slope * len(by), by))
    if isinstance(calibration, VectorCalibration):
        return VectorCalibration(tuple(slope[0] * own for own in calibration.slope), _linear(calibration.intercept, slope * len(by), by))
    if isinstance(calibration, PerClass):
        scaled = tuple(own / s for own, s in zip(calibration.temperature, slope, strict=True))
        return PerClass(scaled, _linear(calibration.intercept, slope, by))
    if isinstance(calibration, IsotonicCalibration):
        lines = step.odds(1 if len(calibration.curves) == 1 else None)
        return IsotonicCalibration(tuple(_bent(curve, *line) for curve, line in zip(calibration.curves, lines, strict=True)))
    raise MedtlError(f"a calibration of the kind {type(calibration).__name__} cannot be re-calibrated by this version")


def _linear(before: Sequence[float], slope: Sequence[float], by: Sequence[float]) -> tuple[float, ...]:
    return tuple(s * own + each for own, s, each in zip(before, slope, by, strict=True))


def _bent(curve: Curve, slope: float, by: float) -> Curve:
    given = curve.given if slope == 1 else (curve.given[0] - BEYOND, *curve.given, curve.given[-1] + BEYOND)
    return Curve(given, tuple((by + slope * curve.apply(given)).tolist()))


def _moved(cut: float, slope: float, by: float) -> float:
    return cut if cut in (0, 1) else float(expit(by + slope * (math.log(cut) - math.log1p(-cut))))
