"""The model with other probabilities: what was fitted where it is used, composed with its own calibration; and its thresholds."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medtl.contracts import Task, Threshold
from medtl.decisions import threshold as thresholds_of
from medtl.decisions.moved import Step, then
from medtl.decisions.rule_words import rule_of
from medtl.evaluation.cases import Cases
from medtl.evaluation.mending import Mended
from medtl.evaluation.recalibration import Recalibration
from medtl.evaluation.refit import Choose, dealt, event_of, refit_threshold, thresholds, too_few
from medtl.evaluation.refit import called as answered_from
from medtl.model.model import Model
from medtl.model.operating_point import FittedOn, OperatingPoint
from medtl.model.prevalence import calibrated_at, metrics_of
from medtl.recalibrated import KEPT, SPLIT

Mending = Mapping[str, Mended]
"""Of each question: the positive class of two, `all classes` of several, or each finding."""


@dataclass(frozen=True)
class Chosen:
    """A threshold chosen anew for one question."""

    value: float
    reached: bool
    evidence: Mapping[str, object]
    """Of :func:`medtl.evaluation.refit.refit_threshold`: `before`, `after` (cross-fitted) and `difference`."""
    cases: Cases
    """Answered with the thresholds that the other patients chose."""


def step_of(mending: Mending, task: Task) -> Step:
    """What is done to the shipped probabilities; nothing to those of findings of which nothing is shown."""
    lines = [each.line if each.shown and each.line is not None else Recalibration(0.0) for each in mending.values()]
    intercepts = tuple(by for line in lines for by in (line.intercept if isinstance(line.intercept, tuple) else (line.intercept,)))
    if task.positive_index is not None:
        half = intercepts[0] / 2
        intercepts = (-half, half) if task.positive_index == 1 else (half, -half)
    return Step(tuple(line.slope for line in lines), intercepts)


def chosen_anew(cases: Cases, mended: Mended, rule_words: str, unit: str) -> Chosen | str:
    """The threshold by the package's own rule on the moved probabilities; or why none is chosen. `unit`: what the groups are."""
    rule, few = rule_of(rule_words), too_few(cases, unit)
    if rule is None or few or mended.line is None:
        return few or "the package names no rule that a threshold could be chosen by"

    def choose(p: NDArray[np.float64], event: NDArray[np.bool_]) -> float:
        return thresholds_of.fit(p, event, rule).value

    moved, read = mended.line.moved(cases), cases.read
    assert cases.positive is not None
    best = thresholds_of.fit(moved.probabilities[read, cases.positive], event_of(cases)[read], rule)
    return Chosen(best.value, best.reached, refit_threshold(moved, choose, unit), _cross_answered(moved, choose))


def _cross_answered(cases: Cases, choose: Choose) -> Cases:
    return answered_from(cases, thresholds(cases, dealt(cases), choose))


def operating_point(
    old: Model, step: Step, chosen: Mapping[str, Chosen | str], cases: Mapping[str, Cases], mending: Mending
) -> OperatingPoint:
    """Where the new probabilities become classes. `chosen`: thresholds chosen anew, or why one is not; empty where all are to stay."""
    point, task, images = old.package.operating_point, old.task, int(max(each.read.sum() for each in cases.values()))
    anew = {name: each for name, each in chosen.items() if isinstance(each, Chosen)}
    by_these = {"split": SPLIT, "n": images}
    given = {"split": point.split, "n": point.n, "calibrated_on": FittedOn(split=SPLIT, n=images)}
    if old.threshold is None:
        return OperatingPoint(rule=KEPT, adjusted=step.adjusted(point.adjusted), prevalence=None, **given)
    rule = point.rule.partition(", guaranteed")[0]
    if anew:
        parsed = rule_of(point.rule)
        assert parsed is not None
        rule = thresholds_of.said(parsed, all(each.reached for each in anew.values()))
    return OperatingPoint(
        rule=rule,
        threshold=_thresholds(step.threshold(old.threshold, task.positive_index), anew, list(cases)),
        prevalence=_prevalence(old, cases, mending),
        **(by_these if len(anew) == len(cases) else given),
    )


def _thresholds(moved: Threshold, anew: Mapping[str, Chosen], names: list[str]) -> Threshold:
    cuts = moved if isinstance(moved, tuple) else (moved,)
    found = tuple(anew[name].value if name in anew else cut for name, cut in zip(names, cuts, strict=True))
    return found if isinstance(moved, tuple) else found[0]


def _prevalence(old: Model, cases: Mapping[str, Cases], mending: Mending) -> Threshold | None:
    """At which the new probabilities hold: of these images, or of a finding whose stay as shipped, what was known before."""
    before = calibrated_at(old.package, metrics_of(old.folder))
    shares = [float(event_of(each)[each.read].mean()) if mending[name].shown else before.get(name) for name, each in cases.items()]
    known = tuple(share for share in shares if share is not None)
    if len(known) < len(shares):
        return None
    return known if isinstance(old.threshold, tuple) else known[0]


def moved_model(old: Model, step: Step, point: OperatingPoint) -> Model:
    """The same networks with these probabilities and thresholds, without conformal sets."""
    new = copy.copy(old)
    new.calibration, new.conformal = then(old.calibration, step), None
    new.package = old.package.model_copy(update={"operating_point": point, "calibration": new.calibration.to_json(), "conformal": None})
    return new
