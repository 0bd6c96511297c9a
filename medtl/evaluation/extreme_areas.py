"""How far the difference of two AUROCs may lie below 0 where one of them is near 1, or rests on few patients.

A bootstrap of two areas of 1 never shows an error: its interval is [0, 0], however few the patients. Each area's own interval knows better,
and MOVER makes the difference's of both with their correlation (Zou & Donner, Statistics in Medicine 2008; 27: 1693-1702).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from medtl.evaluation import delong, influence, intervals
from medtl.evaluation.cases import Cases
from medtl.evaluation.figures import FEW_RANKS
from medtl.evaluation.influence import Linear
from medtl.evaluation.intervals import FEW, Interval


def lower_end(one: Sequence[Cases], other: Sequence[Cases]) -> float | None:
    """Of the mean AUROC of `one` less that of `other`: of 95 %, by MOVER; None where no area is extreme and a bootstrap will do.

    Both are the same questions of the same images (:func:`medtl.evaluation.cases.questions`); a class (finding) of which either model read
    images on one side alone has no part.
    """
    asked = [
        (*pair, index)
        for pair in zip(one, other, strict=True)
        for index in ([pair[0].positive] if pair[0].positive is not None else range(len(pair[0].classes)))
        if all(_both_sides(cases, index) for cases in pair)
    ]
    if not any(_extreme(cases, index) for *pair, index in asked for cases in pair):
        return None
    lost = [_most_lost(*each) for each in asked]
    gaps = [value for value, _ in lost]
    return intervals.of_mean(gaps, [Interval(value - down, value) for value, down in lost], lowest=-1.0).low


def _most_lost(one: Cases, other: Cases, index: int) -> tuple[float, float]:
    """The difference of one class's areas, and how far below it the truth may lie."""
    (first, own), (second, others) = (_area(cases, index) for cases in (one, other))
    down, up, together = first.value - own.low, others.high - second.value, _correlation(first, second)
    return first.value - second.value, math.sqrt(max(0.0, down**2 + up**2 - 2 * together * down * up))


def _area(cases: Cases, index: int) -> tuple[Linear, Interval]:
    """Obuchowski's interval on the log-odds; Newcombe's where patients are few or none is out of order."""
    positives, negatives = _patients(cases, index)
    linear, read = influence.area_of(cases, index), cases.read
    of_class = cases.truth[read] == index
    _, error = delong.clustered_error(of_class, cases.probabilities[read, index], cases.groups[read])
    if min(positives, negatives) < FEW or not error > 0:
        return linear, intervals.auroc_interval(linear.value, positives, negatives)
    return linear, delong.interval(linear.value, error, min(positives, negatives))


def _correlation(one: Linear, other: Linear) -> float:
    """Of two areas over groups; 0 where one does not vary."""
    spread = math.sqrt(float(one.influence @ one.influence) * float(other.influence @ other.influence))
    return float(one.influence @ other.influence) / spread if spread > 0 else 0.0


def _extreme(cases: Cases, index: int) -> bool:
    area = influence.area_of(cases, index).value
    return min(_patients(cases, index)) * min(area, 1 - area) < FEW_RANKS


def _patients(cases: Cases, index: int) -> tuple[int, int]:
    """Groups with an image read of the class, and of another."""
    truth, groups = cases.truth[cases.read], cases.groups[cases.read]
    return np.unique(groups[truth == index]).size, np.unique(groups[truth != index]).size


def _both_sides(cases: Cases, index: int) -> bool:
    return min(_patients(cases, index)) > 0
