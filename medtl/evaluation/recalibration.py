"""Probabilities put right where the model is used: logit p' = a + b logit p, judged on patients who had no part in fitting a and b.

*Intercept* (b = 1) mends probabilities that are too high or too low on the whole, as where the ill are rarer; *intercept and slope* also
those that are too extreme or too timid (Cox 1958; Janssen et al., Journal of Clinical Epidemiology 2008; 61: 76-86; Vergouwe et al.,
Statistics in Medicine 2017; 36: 4529-4539). Neither changes the order of images, so neither mends AUROC; and where the slope is not above
0 there is no order to keep: that is refused, for it would turn the model's answers round.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import expit

from medtl.evaluation.calibration_line import calibration_line, logistic, separated
from medtl.evaluation.cases import Cases
from medtl.evaluation.figures import Estimate, estimate, probability_figures, without
from medtl.evaluation.probability import log_odds
from medtl.evaluation.refit import Floats, Ints, Mask, apart, event_of, part_of, probability_of
from medtl.evaluation.resampling import resample

METHODS = ("intercept", "intercept_and_slope")
NO_ORDER = "its slope is not above 0: the order of the images that it is fitted on is worthless, and no re-calibration mends an order"
RESAMPLES = 1000


@dataclass(frozen=True)
class Recalibration:
    """logit p' = intercept + slope · logit p."""

    intercept: float
    slope: float = 1.0

    def apply(self, p: Floats) -> Floats:
        """(N,) probabilities → (N,) probabilities; NaN stays NaN."""
        return np.asarray(expit(self.intercept + self.slope * log_odds(p)), dtype=np.float64)

    def moved(self, cases: Cases) -> Cases:
        """The same images of two classes with these probabilities."""
        return with_probability(cases, self.apply(probability_of(cases)))


class Line(Protocol):
    """What is fitted, of two classes or more."""

    def moved(self, cases: Cases) -> Cases:
        """The same images with the probabilities that it gives."""


def fit(event: Mask, p: Floats, groups: Ints, method: str) -> Recalibration | str:
    """Maximum likelihood on N images, some with the event and some without, of two groups or more; or why it has none."""
    x, ones = log_odds(p), np.ones((len(p), 1))
    y = event.astype(np.float64)
    if method == METHODS[0]:
        return Recalibration(float(logistic(ones, y, x, groups)[0][0]))
    if np.ptp(x) < 1e-9:
        return "all probabilities are equal"
    if separated(event, x):
        return "the probabilities separate the classes"
    a, b = logistic(np.column_stack([ones, x]), y, np.zeros(len(x)), groups)[0].tolist()
    return Recalibration(a, b) if b > 0 else NO_ORDER


def fit_cases(cases: Cases, method: str) -> Recalibration | str:
    """:func:`fit` on the images read."""
    read = cases.read
    return fit(event_of(cases)[read], probability_of(cases)[read], cases.groups[read], method)


def crossed(cases: Cases, part: Ints, fitted: Callable[[Cases], Line | str]) -> Cases | str:
    """The same images, each with the probabilities that a line `fitted` on the other parts gives it; or why one has none."""
    moved = np.full_like(cases.probabilities, np.nan)
    for held, others in apart(part, cases.groups):
        found = fitted(part_of(cases, others))
        if isinstance(found, str):
            return found
        moved[held] = found.moved(part_of(cases, held)).probabilities
    return dataclasses.replace(cases, probabilities=moved)


def with_probability(cases: Cases, p: Floats) -> Cases:
    """The same images with other probabilities (N,) of the positive class; their answers stay."""
    pair = [1 - p, p] if cases.positive == 1 else [p, 1 - p]
    return dataclasses.replace(cases, probabilities=np.stack(pair, axis=1))


def judged(cases: Cases) -> dict[str, Estimate]:
    """`brier`, `calibration_intercept`, `calibration_slope` of the images read; both classes must be there, and two groups."""
    event, p, read = event_of(cases), probability_of(cases), cases.read
    line = calibration_line(event[read], p[read], cases.groups[read])
    slope = estimate(*line.slope) if line.slope else without(f"probabilities: {line.no_slope}")
    brier = probability_figures(cases, resample(cases, resamples=RESAMPLES))[0]
    return {"brier": brier, "calibration_intercept": estimate(*line.intercept), "calibration_slope": slope}
