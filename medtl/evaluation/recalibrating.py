"""Re-calibration of two classes or of several, whichever the images are of: fitted on all of them for use, judged cross-fitted by group.

Two classes: :mod:`medtl.evaluation.recalibration`; several: :mod:`medtl.evaluation.recalibration_of_classes`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from medtl.evaluation import influence, recalibration, recalibration_of_classes
from medtl.evaluation.cases import Cases
from medtl.evaluation.figures import NO_CASES, Estimate, without
from medtl.evaluation.influence import Linear
from medtl.evaluation.recalibration import METHODS, Recalibration, crossed
from medtl.evaluation.recalibration_of_classes import ClassRecalibration
from medtl.evaluation.refit import FOLDS, Ints, dealt, paired, too_few

ALL = "all classes"
"""The question that a model of several classes answers."""
Fitted = Recalibration | ClassRecalibration


def fit_cases(cases: Cases, method: str) -> Fitted | str:
    """Maximum likelihood on the images read, of which every class must have some; or why it has none."""
    if cases.positive is None:
        return recalibration_of_classes.fit_cases(cases, method)
    return recalibration.fit_cases(cases, method)


def cross_fitted(cases: Cases, part: Ints, method: str) -> Cases | str:
    """The same images, each with the probabilities that the other parts' re-calibration gives it; or why there are none."""
    return crossed(cases, part, lambda others: fit_cases(others, method))


def recalibrate(cases: Cases, unit: str = "group", folds: int = FOLDS, seed: int = 0) -> dict[str, Any]:
    """`as_shipped` (:func:`judged`), `everybody` (the Brier score of telling everybody how frequent each class is here) and each of
    :data:`medtl.evaluation.recalibration.METHODS`: `fitted` on all images (`intercept`, `slope`: for use) and, cross-fitted, the figures of
    :func:`compared`; a method without it, or all, `{"reason"}`. `unit`: what the groups are."""
    few = too_few(cases, unit)
    if few:
        return {"reason": few}
    found: dict[str, Any] = {"folds": folds, "as_shipped": judged(cases), "everybody": everybody(cases)}
    part = dealt(cases, folds, seed)
    for method in METHODS:
        own = fit_cases(cases, method)
        moved = own if isinstance(own, str) else cross_fitted(cases, part, method)
        if isinstance(own, str) or isinstance(moved, str):
            found[method] = {"reason": str(moved)}
        else:
            found[method] = {"fitted": dataclasses.asdict(own), **compared(cases, moved)}
    return found


def compared(before: Cases, after: Cases) -> dict[str, Any]:
    """:func:`judged` of `after`, and the paired `brier_difference` (below 0: better); of several classes also `log_loss_difference` and
    `auroc_difference`, for there a re-calibration moves one class's probability past another's."""
    found = {**judged(after), "brier_difference": brier_difference(before, after)}
    if before.positive is None:
        found["log_loss_difference"] = _difference(influence.log_loss, before, after)
        found["auroc_difference"] = _difference(influence.auroc, before, after)
    return found


def brier_difference(before: Cases, after: Cases) -> Estimate:
    """The Brier score of `after` less that of `before`, of the same images, paired by group."""
    return _difference(influence.brier, before, after)


def judged(cases: Cases) -> dict[str, Any]:
    """`brier` and the calibration of the images read; every class must be there, and two groups."""
    return recalibration_of_classes.judged(cases) if cases.positive is None else dict(recalibration.judged(cases))


def everybody(cases: Cases) -> float:
    """The Brier score of telling everybody how frequent each class is here."""
    shares = np.bincount(cases.truth[cases.read], minlength=len(cases.classes)) / cases.read.sum()
    whole = float(1 - (shares**2).sum())
    return whole / 2 if cases.positive is not None else whole


def _difference(figure: Callable[[Cases], Linear | None], before: Cases, after: Cases) -> Estimate:
    new, old = figure(after), figure(before)
    return paired(new, old) if new is not None and old is not None else without(NO_CASES)
