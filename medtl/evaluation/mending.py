"""What 10 to a few hundred labels of the place of use can put right, and whether that is shown, before anything is changed there.

From :data:`medtl.evaluation.intervals.FEW` groups (patients) of every class the intercepts alone, which undo another prevalence; from
:data:`medtl.evaluation.refit.FEWEST` also the slope, where cross-fitted it is better than without. It is shown if, cross-fitted by group,
the Brier score falls (95 %), and if the order of the images is better than chance: no re-calibration mends an order.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from medtl.estimates import estimate as in_words
from medtl.estimates import number, signed
from medtl.evaluation import recalibrating, side
from medtl.evaluation.cases import Cases
from medtl.evaluation.figures import Estimate, estimate
from medtl.evaluation.intervals import FEW
from medtl.evaluation.recalibrating import Fitted, cross_fitted, everybody
from medtl.evaluation.recalibration import METHODS
from medtl.evaluation.refit import FEWEST, FOLDS, Ints, counted, dealt, groups_of_each


@dataclass(frozen=True)
class Mended:
    """What was tried on images of one question, and whether it is shown to help."""

    shown: bool
    reason: str
    """Why (not), in words."""
    evidence: Mapping[str, Any]
    """`groups` of each class; and where there are enough `method`, `fitted`, `folds`, `auroc`, `everybody`, `before`, `after`, and where a
    slope was tried `slope_instead`: what it adds to the intercept."""
    line: Fitted | None = None
    """Fitted on all images, for use."""
    crossed: Cases | None = None
    """The same images, each with the probabilities that other groups' line gives it."""


@dataclass(frozen=True)
class _Tried:
    line: Fitted
    crossed: Cases


def lacking(cases: Cases, least: int = FEW) -> dict[str, int]:
    """Class → how many more groups of it are needed; empty where there are enough."""
    return {name: least - groups for name, groups in groups_of_each(cases).items() if groups < least}


def too_few(cases: Cases, unit: str = "group") -> str:
    """Why nothing can be fitted on these images; empty where something can. `unit`: what the groups are (patient, lesion …)."""
    groups = groups_of_each(cases)
    each = [f"{counted(groups[name], unit)} of {name}, {more} more are needed" for name, more in lacking(cases).items()]
    return f"too few to fit anything on, {FEW} of each are needed ({'; '.join(each)})" if each else ""


def mend(cases: Cases, unit: str = "group", folds: int = FOLDS, seed: int = 0) -> Mended:
    """Fit what so many images carry, and judge it on images of groups (`unit`) that had no part in fitting it."""
    asked = {"groups": groups_of_each(cases)}
    few = too_few(cases, unit)
    if few:
        return Mended(False, few, asked)
    part = dealt(cases, folds, seed)
    tried = {method: _tried(cases, part, method) for method in METHODS[: 1 if lacking(cases, FEWEST) else 2]}
    intercept, slope = tried[METHODS[0]], tried.get(METHODS[1])
    assert isinstance(intercept, _Tried)  # an intercept can always be fitted
    instead = _instead(slope, intercept)
    better = isinstance(slope, _Tried) and (instead.get("high") is not None) and instead["high"] < 0
    method, chosen = (METHODS[1], slope) if better else (METHODS[0], intercept)
    assert isinstance(chosen, _Tried)
    area, after = _order(cases), recalibrating.compared(cases, chosen.crossed)
    gap = after["brier_difference"]
    shown, reason = _verdict(area, gap)
    evidence: dict[str, Any] = {"method": method, "fitted": dataclasses.asdict(chosen.line), "folds": folds, "auroc": area}
    evidence |= {"everybody": everybody(cases), "before": recalibrating.judged(cases), "after": after}
    evidence |= {"slope_instead": instead} if instead else {}
    return Mended(shown, reason, asked | evidence, chosen.line, chosen.crossed)


def _tried(cases: Cases, part: Ints, method: str) -> _Tried | str:
    line, moved = recalibrating.fit_cases(cases, method), cross_fitted(cases, part, method)
    if isinstance(line, str) or isinstance(moved, str):
        return line if isinstance(line, str) else str(moved)
    return _Tried(line, moved)


def _instead(slope: _Tried | str | None, intercept: _Tried) -> dict[str, Any]:
    """The Brier score with a slope less that of the intercept alone; why there is no slope; empty where none was tried."""
    if slope is None:
        return {}
    if isinstance(slope, str):
        return {"reason": slope}
    return recalibrating.brier_difference(intercept.crossed, slope.crossed)


def _order(cases: Cases) -> Estimate:
    found = side.areas(cases)
    return estimate(found.value, found.interval)


def _verdict(area: Estimate, gap: Estimate) -> tuple[bool, str]:
    if not area["low"] > 0.5:
        return False, (
            f"no better order of the images than chance is shown (AUROC {in_words(area)}), and no re-calibration mends an order: it takes "
            "labels from here to learn from, or another model"
        )
    high = gap.get("high")
    if high is None:
        return False, f"whether the probabilities get better cannot be judged ({gap.get('reason')})"
    judged = "judged on patients who fitted nothing"
    if high >= 0:
        moved = f"{signed(gap['value'])} ({signed(gap['low'])} to {signed(high)})"
        return False, f"the probabilities are not shown to get better: the Brier score moves by {moved}, {judged}"
    return True, f"the Brier score falls by {number(-gap['value'])} ({number(-high)} to {number(-gap['low'])}), {judged}"
