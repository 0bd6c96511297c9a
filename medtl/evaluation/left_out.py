"""Several outside hospitals: the figures of each, and what is worth there what the others fit: a rule for answers and a re-calibration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from medtl.evaluation import recalibrating, refit, side
from medtl.evaluation.cases import Cases
from medtl.evaluation.figures import Estimate, estimate, without
from medtl.evaluation.intervals import FEW
from medtl.evaluation.recalibration import METHODS
from medtl.evaluation.recalibration_of_classes import area_of
from medtl.evaluation.refit import Choose, Mask, counted, event_of, groups_of_each, part_of, probability_of, too_few, too_few_to_judge
from medtl.evaluation.refit_of_classes import Decide, answered


@dataclass(frozen=True)
class Rule:
    """How a package turns probabilities into answers, to be chosen anew: one of both, or neither where it names no rule."""

    choose: Choose | None = None
    """Two classes: a threshold."""
    decide: Decide | None = None
    """Several classes."""


def by_domain(cases: Cases, domains: ArrayLike, rule: Rule, unit: str = "group") -> dict[str, dict[str, Any]]:
    """Domain → `n`, `groups`, `few` or `figures` as shipped, and `left_out`: what the others fit. Of two classes also `ill` (images of the
    positive one), of several `per_class`: each one's images and AUROC.

    `domains` (N,): where each image is from. No patient of a domain has a part in what is fitted for it, also where some of his images are
    from another. `unit`: what the groups are. Empty for a single domain.
    """
    named = np.asarray(domains, dtype=str)
    names = np.unique(named)
    if len(names) < 2:
        return {}
    return {str(name): _domain(cases, np.asarray(named == name, dtype=bool), rule, unit) for name in names}


def _domain(cases: Cases, held: Mask, rule: Rule, unit: str) -> dict[str, Any]:
    own = part_of(cases, held)
    found: dict[str, Any] = {"n": len(own.truth), "groups": own.group_count}
    found |= {"ill": int(event_of(own).sum())} if own.positive is not None else {"per_class": _each_class(own, unit)}
    few = too_few_to_judge(own, unit)
    if few:
        return {**found, "few": few}
    area = side.areas(own)
    shares = refit.compared(own, own)["before"]
    found["figures"] = {**recalibrating.judged(own), "auroc": estimate(area.value, area.interval), **shares}
    others = part_of(cases, ~held & ~np.isin(cases.groups, own.groups))
    scarce = too_few(others, unit)
    return {**found, "left_out": {"reason": f"elsewhere {scarce}"} if scarce else _fitted_on(others, own, rule)}


def _each_class(own: Cases, unit: str) -> dict[str, dict[str, Any]]:
    """Class → `n` images and `auroc` against the rest, also where another class is too rare for the domain's figures."""
    groups, truth = groups_of_each(own), own.truth[own.read]
    found = {}
    for index, name in enumerate(own.classes):
        others = int(np.unique(own.groups[own.read][truth != index]).size)
        scarce = [counted(number, unit) + what for number, what in ((groups[name], " of it"), (others, " of others")) if number < FEW]
        area: Estimate = without(f"too few: {', '.join(scarce)}") if scarce else area_of(own, index)
        found[name] = {"n": int((own.truth == index).sum()), "auroc": area}
    return found


def _fitted_on(others: Cases, own: Cases, rule: Rule) -> dict[str, Any]:
    """What `others` choose and fit, judged on the left-out `own`."""
    found: dict[str, Any] = {}
    if rule.choose is not None:
        found |= _thresholded(others, own, rule.choose)
    if rule.decide is not None:
        found |= _answered(others, own, rule.decide)
    for method in METHODS:
        line = recalibrating.fit_cases(others, method)
        found[method] = {"reason": line} if isinstance(line, str) else recalibrating.compared(own, line.moved(own))
    return found


def _thresholded(others: Cases, own: Cases, choose: Choose) -> dict[str, Any]:
    read = others.read
    cut = float(choose(probability_of(others)[read], event_of(others)[read]))
    after = refit.compared(own, refit.called(own, np.full(len(own.truth), cut)))
    return {"threshold": {"value": cut, **{key: after[key] for key in ("after", "difference")}}}


def _answered(others: Cases, own: Cases, decide: Decide) -> dict[str, Any]:
    called = answered(others, own, decide)
    return {"answers": {"reason": called} if isinstance(called, str) else refit.compared(own, called)}
