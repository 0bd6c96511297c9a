"""Probabilities of several classes put right where the model is used: p' = softmax(b · log p + a), an intercept a per class.

As :mod:`medtl.evaluation.recalibration` of two: the *intercepts* alone (b = 1) undo other class frequencies (Saerens, Latinne &
Decaestecker, Neural Computation 2002; 14: 21-41, with known labels), the *slope* also probabilities that are too extreme or too timid.
Maximum likelihood (the multinomial recalibration framework of Van Hoorde et al., Journal of Biomedical Informatics 2015; 54: 283-293, with
one slope for all classes).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from medtl.evaluation import side
from medtl.evaluation.calibration_line import calibration_line
from medtl.evaluation.cases import Cases
from medtl.evaluation.figures import Estimate, estimate, probability_figures, without
from medtl.evaluation.further import log_loss
from medtl.evaluation.probability import SMALLEST, log_loss_terms
from medtl.evaluation.recalibration import METHODS, NO_ORDER, RESAMPLES
from medtl.evaluation.resampling import resample

Floats = NDArray[np.float64]
SEPARATED = 1e-4
"""Log loss from which on nothing but a steeper slope is learned."""


@dataclass(frozen=True)
class ClassRecalibration:
    """log p' = intercept + slope · log p, less what makes the classes sum to 1."""

    intercept: tuple[float, ...]
    """Summing to 0."""
    slope: float = 1.0

    def apply(self, p: Floats) -> Floats:
        """(N, K) → (N, K) probabilities; NaN rows stay NaN."""
        return np.asarray(softmax(self.slope * _logs(p) + np.asarray(self.intercept), axis=1), dtype=np.float64)

    def moved(self, cases: Cases) -> Cases:
        """The same images with these probabilities."""
        return dataclasses.replace(cases, probabilities=self.apply(cases.probabilities))


def fit_cases(cases: Cases, method: str) -> ClassRecalibration | str:
    """Fit on the images read, of which every class must have some; or why there is no such line."""
    logs, truth = _logs(cases.probabilities[cases.read]), cases.truth[cases.read]
    sloped = method != METHODS[0]
    found = minimize(_loss, np.r_[np.zeros(logs.shape[1]), np.ones(int(sloped))], args=(logs, truth), jac=True, method="BFGS")
    if sloped and found.fun < SEPARATED:
        return "the probabilities separate the classes"
    intercept, slope = found.x[: logs.shape[1]], float(found.x[-1]) if sloped else 1.0
    return ClassRecalibration(tuple((intercept - intercept.mean()).tolist()), slope) if slope > 0 else NO_ORDER


def judged(cases: Cases) -> dict[str, Any]:
    """`brier`, `log_loss`, `auroc` (the mean over the classes, each against the rest), and in `per_class` each class's
    `calibration_intercept`, `calibration_slope` and `auroc`, of the images read."""
    read, draws = cases.read, resample(cases, resamples=RESAMPLES)
    brier, area = probability_figures(cases, draws)[0], side.areas(cases)
    loss = log_loss(cases, float(log_loss_terms(cases.truth[read], cases.probabilities[read]).mean()), draws)
    lines = {}
    for index, name in enumerate(cases.classes):
        line = calibration_line(cases.truth[read] == index, cases.probabilities[read, index], cases.groups[read])
        slope = estimate(*line.slope) if line.slope else without(f"probabilities: {line.no_slope}")
        lines[name] = {"calibration_intercept": estimate(*line.intercept), "calibration_slope": slope, "auroc": area_of(cases, index)}
    return {"brier": brier, "log_loss": loss, "auroc": estimate(area.value, area.interval), "per_class": lines}


def area_of(cases: Cases, index: int) -> Estimate:
    """AUROC of one class against the rest, of the images read."""
    found = side.area(cases, index)
    return estimate(found.value, found.interval)


def _loss(parameters: Floats, logs: Floats, truth: NDArray[np.int64]) -> tuple[float, Floats]:
    """Mean log loss of the intercepts, and the slope where there is one more parameter, with its gradient."""
    classes, rows = logs.shape[1], np.arange(len(truth))
    slope = parameters[classes] if len(parameters) > classes else 1.0
    log_p = log_softmax(slope * logs + parameters[:classes], axis=1)
    residual = np.exp(log_p)
    residual[rows, truth] -= 1
    gradient = np.r_[residual.mean(axis=0), np.full(len(parameters) - classes, (residual * logs).sum(axis=1).mean())]
    return -float(log_p[rows, truth].mean()), gradient


def _logs(p: Floats) -> Floats:
    return np.asarray(np.log(np.clip(p, SMALLEST, 1.0)), dtype=np.float64)
