"""Several outside hospitals: the figures of each, and what a threshold and a re-calibration fitted on the others are worth there."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from medtl.evaluation import recalibration, refit, side
from medtl.evaluation.cases import Cases
from medtl.evaluation.figures import estimate
from medtl.evaluation.refit import Choose, Mask, event_of, part_of, probability_of, too_few, too_few_to_judge


def by_domain(cases: Cases, domains: ArrayLike, choose: Choose | None) -> dict[str, dict[str, Any]]:
    """Domain → `n`, `groups`, `ill` (images of the positive class), `few` or `figures` as shipped, and `left_out`: what the others fit.

    `domains` (N,): where each image is from. No patient of a domain has a part in what is fitted for it, also where some of his images are
    from another. `choose`: None where there is no rule to choose a threshold by. Empty for a single domain.
    """
    named = np.asarray(domains, dtype=str)
    names = np.unique(named)
    if len(names) < 2:
        return {}
    return {str(name): _domain(cases, np.asarray(named == name, dtype=bool), choose) for name in names}


def _domain(cases: Cases, held: Mask, choose: Choose | None) -> dict[str, Any]:
    own = part_of(cases, held)
    found: dict[str, Any] = {"n": len(own.truth), "groups": own.group_count, "ill": int(event_of(own).sum())}
    few = too_few_to_judge(own)
    if few:
        return {**found, "few": few}
    area = side.area(own, cases.positive or 0)
    shares = refit.compared(own, own)["before"]
    found["figures"] = {"auroc": estimate(area.value, area.interval), **shares, **recalibration.judged(own)}
    others = part_of(cases, ~held & ~np.isin(cases.groups, own.groups))
    scarce = too_few(others)
    return {**found, "left_out": {"reason": f"elsewhere {scarce}"} if scarce else _fitted_on(others, own, choose)}


def _fitted_on(others: Cases, own: Cases, choose: Choose | None) -> dict[str, Any]:
    """What `others` choose and fit, judged on the left-out `own`."""
    read = others.read
    found: dict[str, Any] = {}
    event, p, groups = event_of(others)[read], probability_of(others)[read], others.groups[read]
    if choose is not None:
        cut = float(choose(p, event))
        after = refit.compared(own, refit.called(own, np.full(len(own.truth), cut)))
        found["threshold"] = {"value": cut, **{key: after[key] for key in ("after", "difference")}}
    for method in recalibration.METHODS:
        line = recalibration.fit(event, p, groups, method)
        found[method] = (
            {"reason": line}
            if isinstance(line, str)
            else recalibration.compared(own, recalibration.with_probability(own, line.apply(probability_of(own))))
        )
    return found
