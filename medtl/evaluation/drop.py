"""What a model's figures are elsewhere, less what they were on the images of its own hospital.

Other patients on either side, so the variances add up: the interval of a difference is made of both figures' own (MOVER; Newcombe,
Statistics in Medicine 1998; 17: 873-890; Zou & Donner, ibid. 2008; 27: 1693-1702), which keeps their asymmetry near 0 and 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from medtl.contracts import TEST, VALIDATION, Task
from medtl.evaluation.figures import Estimate, estimate, without
from medtl.evaluation.intervals import Interval

Entry = Mapping[str, Any]
"""Of one split, as in metrics.json."""
Drops = dict[str, dict[str, Estimate]]
"""Figure → `here`, `there`, `difference`."""

OVERALL = ("auroc", "balanced_accuracy", "macro_f1", "accuracy", "brier")
OF_TWO = ("prevalence", "sensitivity", "specificity", "calibration_intercept", "calibration_slope")
OF_CLASS = ("prevalence", "recall", "specificity", "auroc", "calibration_intercept", "calibration_slope")
LOWER_IS_BETTER = frozenset({"brier"})
WORTH = ("auroc", "balanced_accuracy", "macro_f1", "accuracy", "sensitivity", "specificity", "recall", "brier")
"""Figures of which more (of Brier less) is better; the others say what changed."""


def own_split(metrics: Mapping[str, Any]) -> tuple[str, Entry] | None:
    """What a package (content of its metrics.json) shows of its own hospital: test, else validation, which flatters; None: neither."""
    for name in (TEST, VALIDATION):
        if metrics.get("splits", {}).get(name, {}).get("n"):
            return name, metrics["splits"][name]
    return None


def difference(here: Entry, there: Entry) -> Estimate:
    """`here` less `there`, two estimates of independent samples.

    >>> found = difference({"value": 0.8, "low": 0.7, "high": 0.86}, {"value": 0.9, "low": 0.86, "high": 0.93})
    >>> [round(found[key], 3) for key in ("value", "low", "high")]
    [-0.1, -0.204, -0.028]
    """
    for side, where in ((here, "here"), (there, "there")):
        if side["value"] is None:
            return without(f"{where}: {side['reason']}")
    value = here["value"] - there["value"]
    for side, where in ((here, "here"), (there, "there")):
        if side.get("low") is None or side.get("high") is None:
            return estimate(value, None, f"{where}: {side.get('reason') or 'no interval'}")
    low = value - math.hypot(here["value"] - here["low"], there["high"] - there["value"])
    high = value + math.hypot(here["high"] - here["value"], there["value"] - there["low"])
    return estimate(value, Interval(low, high))


def overall(here: Entry, there: Entry, task: Task) -> Drops:
    """The figures of all classes together; of two classes also those of the positive one."""
    keys = (*OVERALL, *(OF_TWO if task.positive_index is not None else ()))
    return _compared(_of_two(here, task), _of_two(there, task), keys)


def per_class(here: Entry, there: Entry, task: Task) -> dict[str, Drops]:
    """Class (against the rest) or finding → figures; empty for two classes, where :func:`overall` says it all."""
    if task.positive_index is not None:
        return {}
    return {name: _compared(here["per_class"][name], there["per_class"].get(name, {}), OF_CLASS) for name in task.names}


def worse(drops: Drops) -> list[str]:
    """The figures that are worse here by more than chance, each by itself: the interval leaves 0 out on the wrong side."""
    found = []
    for key in WORTH:
        gap = drops.get(key, {}).get("difference", {})
        if gap.get("low") is not None and (gap["low"] > 0 if key in LOWER_IS_BETTER else gap["high"] < 0):
            found.append(key)
    return found


def _compared(here: Entry, there: Entry, keys: Sequence[str]) -> Drops:
    sides = {key: tuple(entry.get(key) or without("not measured") for entry in (here, there)) for key in keys}
    return {key: {"here": one, "there": other, "difference": difference(one, other)} for key, (one, other) in sides.items()}


def _of_two(entry: Entry, task: Task) -> Entry:
    """An entry in which the figures of the positive class stand beside the others."""
    yes = task.positive_index
    if yes is None:
        return entry
    positive, other = (entry["per_class"][task.names[index]] for index in (yes, 1 - yes))
    own = {key: positive.get(key) for key in ("prevalence", "calibration_intercept", "calibration_slope")}
    return {**entry, **own, "sensitivity": positive["recall"], "specificity": other["recall"]}
