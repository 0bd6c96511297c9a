"""Whether a changed model still finds every class: the paired difference of its recalls on the same images, with simultaneous bounds.

The lower bound is Tango's (:mod:`medtl.evaluation.paired_share`): where two models never differ, few patients show nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from medtl.contracts import Task
from medtl.errors import listed
from medtl.estimates import number
from medtl.evaluation.cases import Cases, questions
from medtl.evaluation.intervals import independent_at_least
from medtl.evaluation.paired import refuse_other_images
from medtl.evaluation.paired_share import paired_share
from medtl.records import KEY

ERROR = 0.025
"""How often a bound of any class may lie above the truth: the lower end of a two-sided interval of 95 %, as elsewhere."""


@dataclass(frozen=True)
class Retention:
    """What was found of (new - old), class by class."""

    shown: bool
    """Whether every class's recall is shown to be no worse than by the margin."""
    enough: bool
    """Whether there are patients enough to show it, had no image been lost or won."""
    reason: str
    per_class: dict[str, dict[str, Any]]
    """Class → `images`, `patients`, `independent` (cases, if all images of a patient say the same), `before`, `after` (recalls), `lost`,
    `won` (images), `difference`, `low`; of a class without images only some of these."""


def retained(new: pd.DataFrame, old: pd.DataFrame, task: Task, margin: float) -> Retention:
    """Predictions of the same images by both models → whether the lower bound of every class's recall difference exceeds `-margin`.

    All comers count: an image that could not be read is a miss. The bounds of K classes hold together (Bonferroni: each at
    :data:`ERROR` / K); a finding is two of them, the images with and without it among those of which it is known. Raises MedtlError where
    images, truths or groups differ.
    """
    (first, own), (second, others) = (questions(table.sort_values(KEY, ignore_index=True), task) for table in (new, old))
    refuse_other_images(new, old, first, second)
    classes = [(name, one, other, k) for one, other in zip(own, others, strict=True) for k, name in enumerate(one.classes)]
    found = {name: _of_class(one, other, k, ERROR / len(classes)) for name, one, other, k in classes}
    few = too_few({name: each["independent"] for name, each in found.items()}, margin)
    if few:
        return Retention(False, False, few, found)
    lost = [f"{name} {number(each['low'])}" for name, each in found.items() if each["low"] <= -margin]
    worst = min(each["low"] for each in found.values())
    if lost:
        return Retention(False, True, f"recall may fall by more than {margin:g} (lower bounds: {listed(lost)})", found)
    return Retention(True, True, f"no recall falls by more than {margin:g} (least lower bound {number(worst)})", found)


def too_few(independent: Mapping[str, float], margin: float) -> str:
    """Why so many independent patients of each class can show nothing, whatever the models say; empty where they can."""
    needed = fewest(margin, len(independent))
    few = [f"{name} {count:.0f}" for name, count in independent.items() if count < needed]
    what = f"too few reference patients to show that recalls are kept within {margin:g}"
    return f"{what}: {listed(few)}; {needed} of every class are needed" if few else ""


def fewest(margin: float, classes: int) -> int:
    """Patients of a class, one image each, of whom none may be lost or won, that show a margin: the least n with z² / (n + z²) < margin.

    >>> fewest(0.05, 2)
    96
    """
    z = _z(ERROR / classes)
    return math.floor(z * z * (1 - margin) / margin) + 1


def _z(error: float) -> float:
    return float(norm.isf(error))


def _of_class(new: Cases, old: Cases, k: int, error: float) -> dict[str, Any]:
    own = new.truth == k
    after, before, groups = new.predicted[own] == k, old.predicted[own] == k, new.groups[own]
    images = int(own.sum())
    if not images:
        return {"images": 0, "patients": 0, "independent": 0.0, "difference": None, "low": -1.0}
    lost, won = before & ~after, after & ~before
    return {
        "images": images,
        "patients": len(np.unique(groups)),
        "independent": round(independent_at_least(groups), 1),
        "before": _share(before),
        "after": _share(after),
        "lost": int(lost.sum()),
        "won": int(won.sum()),
        "difference": _share(won) - _share(lost),
        "low": paired_share(after, before, groups).low(error),
    }


def _share(hits: NDArray[np.bool_]) -> float:
    return float(hits.mean())
