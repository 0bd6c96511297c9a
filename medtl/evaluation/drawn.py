"""One training's answers to the images of one split: its figures, and what each is on every draw of the groups (patients).

What studies hold against each other over several trainings (:mod:`medtl.evaluation.crossed`). Where an image may have several findings,
each finding is a task of two classes over the images of which it is known. All are drawn together, for findings of one patient hang
together, and every figure is the mean over the findings that have one, as in :mod:`medtl.evaluation.summary_of_findings`: one without
images on both sides has no AUROC and stays out of that mean. F1 is then that of presence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.contracts import Task
from medtl.evaluation.cases import Cases, questions
from medtl.evaluation.confusion import confusion, f1, macro, recall
from medtl.evaluation.intervals import Interval, auroc_interval
from medtl.evaluation.probability import calibration_error, calibration_gaps
from medtl.evaluation.ranking import auprc, auroc
from medtl.evaluation.resampling import Resampled, resample
from medtl.records import KEY

Floats = NDArray[np.float64]
AUROC, AUPRC, F1, ECE = "AUROC", "AUPRC", "macro-F1", "ECE"
SENSITIVITY, SPECIFICITY, BALANCED = "sensitivity", "specificity", "balanced accuracy"


@dataclass(frozen=True)
class Recall:
    """Of one class, or of one finding's presence."""

    value: float
    """NaN without images of it."""
    drawn: Floats
    """(R,)"""
    groups: int
    """Groups that have such an image."""


@dataclass(frozen=True)
class Answers:
    """One training's."""

    parts: Mapping[str, Cases]
    """Finding -> the images of which it is known; of one class per image all of them, under an empty name."""
    several: bool
    """Whether an image may have several findings."""

    @property
    def group_count(self) -> int:
        """Groups that have images here."""
        return len(np.unique(np.concatenate([part.groups for part in self.parts.values()])))

    @property
    def unranked(self) -> list[str]:
        """Findings that all images read of which they are known have, or none of them: they have no AUROC."""
        return [name for name, part in self.parts.items() if self.several and len(np.unique(part.truth[part.read])) < 2]

    def one(self, finding: str) -> Answers:
        """Those of one finding alone."""
        return Answers({finding: self.parts[finding]}, self.several)

    @cached_property
    def values(self) -> dict[str, float]:
        """AUROC, AUPRC, macro-F1, ECE and balanced accuracy; of two classes and of findings sensitivity and specificity. NaN where there is
        none. Rank and calibration are of the images read; an unread one is a miss."""
        return {name: float(value) for name, value in self._means(lambda _, part: _values_of(part, self.several)).items()}

    @cached_property
    def drawn(self) -> dict[str, Floats]:
        """(R,) of each of :attr:`values`, on 2,000 draws of the groups; the same draws for whatever answers the same images."""
        return self._means(lambda name, _: self._draws[name][0])

    @property
    def recalls(self) -> Mapping[str, Recall]:
        """Of every class, or of every finding's presence."""
        return dict(self._recalls())

    def around_auroc(self) -> Interval:
        """Of one finding's AUROC, Newcombe's interval for as many groups on each side: also where draws show no error. NaN without one."""
        (part,) = self.parts.values()
        has, groups = part.truth[part.read] == 1, part.groups[part.read]
        sides = [len(np.unique(groups[side])) for side in (has, ~has)]
        return auroc_interval(self.values[AUROC], *sides) if all(sides) else Interval(float("nan"), float("nan"))

    @cached_property
    def _draws(self) -> dict[str, tuple[dict[str, Floats], Floats]]:
        """Part -> its figures, and the recalls (R, K) of its classes; what else a resample knows is not kept."""
        drawn = ((name, part, resample(part)) for name, part in self.parts.items() if len(part.truth))
        return {name: (_drawn_of(found, part, self.several), found.recalls) for name, part, found in drawn}

    def _means(self, figures: Callable[[str, Cases], dict[str, Any]]) -> dict[str, Any]:
        """Figure -> the mean over the parts that have one; a part of no image at all has none."""
        each = [figures(name, part) for name, part in self.parts.items() if len(part.truth)]
        return {name: macro(np.stack([own[name] for own in each], axis=-1)) for name in each[0]}

    def _recalls(self) -> Iterator[tuple[str, Recall]]:
        for name, part in self.parts.items():
            for index in [1] if self.several else range(len(part.classes)):
                of_it = part.truth == index
                value = float((part.predicted[of_it] == index).mean()) if of_it.any() else float("nan")
                drawn = self._draws[name][1][:, index] if name in self._draws else np.full(1, np.nan)
                yield part.classes[index], Recall(value, drawn, len(np.unique(part.groups[of_it])))


def answers(table: pd.DataFrame, task: Task) -> Answers:
    """Out of the rows of one split, whatever their order (rows of members and of unknown truth are left out, as ever)."""
    several = task.kind == "multi"
    _, asked = questions(table.sort_values(KEY, ignore_index=True), task)
    return Answers(dict(zip(task.names if several else ("",), asked, strict=True)), several)


def _values_of(part: Cases, several: bool) -> dict[str, Any]:
    read = part.read
    truth, p = part.truth[read], part.probabilities[read]
    counted, unread = confusion(part.truth, part.predicted, len(part.classes))
    ece = float(calibration_error(calibration_gaps(truth, p).sum(axis=0), read.sum())) if read.any() else float("nan")
    ranks = auroc(truth, p, part.positive), auprc(truth, p, part.positive)
    return _named(*ranks, f1(counted, unread), recall(counted, unread), ece, part, several)


def _drawn_of(draws: Resampled, part: Cases, several: bool) -> dict[str, Floats]:
    return _named(macro(draws.auroc), macro(draws.auprc), draws.f1s, draws.recalls, draws.ece, part, several)


def _named(area: Any, precise: Any, f1s: Floats, recalls: Floats, ece: Any, part: Cases, several: bool) -> dict[str, Any]:
    """`f1s`, `recalls`: (…, K)."""
    found = {AUROC: area, AUPRC: precise, F1: f1s[..., 1] if several else macro(f1s), ECE: ece, BALANCED: macro(recalls)}
    if part.positive is None:
        return found
    return {**found, SENSITIVITY: recalls[..., part.positive], SPECIFICITY: recalls[..., 1 - part.positive]}
