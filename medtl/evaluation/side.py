"""A figure of a part of the images, with an analytic interval and the influence of each group: of what differences are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from medtl.evaluation import delong, influence, intervals
from medtl.evaluation.cases import Cases
from medtl.evaluation.figures import FEW_RANKS
from medtl.evaluation.influence import Linear
from medtl.evaluation.intervals import FEW, Interval


@dataclass(frozen=True)
class Side:
    """A share, an area, or a mean of several."""

    interval: Interval
    linear: Linear

    @property
    def value(self) -> float:
        return self.linear.value


def share(cases: Cases, index: int) -> Side:
    """Recall of class `index`; an unread image is a miss. At least one image of it."""
    return _right(cases, cases.truth == index)


def right(cases: Cases) -> Side:
    """Accuracy; an unread image is a miss."""
    return _right(cases, np.ones(len(cases.truth), dtype=bool))


def _right(cases: Cases, among: NDArray[np.bool_]) -> Side:
    right = cases.predicted == cases.truth
    linear = influence.share_of(cases, right.astype(np.float64), among)
    effective = intervals.effective_cases(right[among], cases.groups[among])
    return Side(intervals.wilson(linear.value, effective), linear)


def f1(cases: Cases, index: int) -> Side:
    """F1 of class `index`, with the interval of the share that it follows from (:func:`medtl.evaluation.figures.class_figures`)."""
    of_class, called = cases.truth == index, cases.predicted == index
    among, both = of_class | called, of_class & called
    around = intervals.wilson(float(both[among].mean()), intervals.effective_cases(both[among], cases.groups[among]))
    return Side(Interval(intervals.f1_of(around.low), intervals.f1_of(around.high)), influence.f1_of(cases, index))


def area(cases: Cases, index: int) -> Side:
    """AUROC of class `index` against the rest, of the images read; needs images of both sides. Obuchowski's interval on the log-odds; where
    groups are few or the area extreme, no narrower than Newcombe's."""
    linear, of_it, groups = influence.area_of(cases, index), cases.truth[cases.read] == index, cases.groups[cases.read]
    positives, negatives = (int(np.unique(groups[side]).size) for side in (of_it, ~of_it))
    few = min(positives, negatives)
    _, error = delong.clustered_error(of_it, cases.probabilities[cases.read, index], groups)
    if few < FEW or not error > 0:
        return Side(intervals.auroc_interval(linear.value, positives, negatives), linear)
    found = delong.interval(linear.value, error, few)
    if few * min(linear.value, 1 - linear.value) < FEW_RANKS:
        found = found.around(intervals.auroc_interval(linear.value, positives, negatives))
    return Side(found, linear)


def areas(cases: Cases) -> Side:
    """AUROC of the positive class of two, or the mean over the classes, each against the rest; each must have images read."""
    return mean_of([area(cases, index) for index in ([cases.positive] if cases.positive is not None else range(len(cases.classes)))])


def mean_of(parts: Sequence[Side]) -> Side:
    """The plain mean: of the parts' intervals as if uncorrelated (Zou & Donner 2008), no narrower than the influences say."""
    if len(parts) == 1:
        return parts[0]
    linear = influence.mean_of([part.linear for part in parts])
    made = intervals.of_mean([part.value for part in parts], [part.interval for part in parts])
    groups = len(linear.influence)
    error = float(np.sqrt(groups / (groups - 1) * (linear.influence @ linear.influence)))
    half = float(t.ppf(0.975, max(1, linear.groups - 1))) * error
    wide = made.around(Interval(linear.value - half, linear.value + half))
    return Side(Interval(max(0.0, wide.low), min(1.0, wide.high)), linear)
