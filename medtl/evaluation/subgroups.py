"""Is the model as good in every part of the patients? One decision rule for all, each subgroup held against all others of the same split.

A difference (subgroup less the rest) has an interval made of both sides' own (MOVER; Newcombe, Statistics in Medicine 1998; Zou & Donner,
ibid. 2008), no narrower than what the groups' influences say, which know of patients that stand on both sides. Its p value is read off
that interval (Altman & Bland, BMJ 2011; 343: d2304) and corrected over all subgroups and figures (Holm 1979). With fewer than ten patients
of a class, in the subgroup or in the rest, nothing is said.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from medtl.contracts import Task
from medtl.evaluation.cases import Cases, findings_from_table, from_table
from medtl.evaluation.contrast import contrast
from medtl.evaluation.crossed import holm
from medtl.evaluation.figures import Estimate, estimate
from medtl.evaluation.intervals import FEW, Interval, Z
from medtl.evaluation.side import Side, area, mean_of, share
from medtl.records import KEY

Mask = NDArray[np.bool_]
LEVELS = 8
"""Values of a column that are judged by themselves, the commonest first."""
AGES = ((0, 18, "under 18"), (18, 40, "18 to 39"), (40, 60, "40 to 59"), (60, 80, "60 to 79"), (80, 200, "80 and over"))
BALANCED = "balanced accuracy"
"""What subgroups are ranked by; of several findings the mean over them."""
TOO_FEW = "too few"


@dataclass(frozen=True)
class Gap:
    """One figure of a subgroup beside that of all others."""

    own: Estimate
    rest: Estimate
    difference: Estimate
    """`own` less `rest`: below 0 the subgroup fares worse."""
    p: float
    """Two-sided, that there is no difference; not corrected."""
    corrected: float
    """By Holm over all subgroups and figures."""


@dataclass(frozen=True)
class Subgroup:
    """One value of one column."""

    by: str
    level: str
    images: int
    groups: int
    where: Mask
    """(N,) which of the rows given."""
    gaps: Mapping[str, Gap]
    """Empty where there are too few."""
    few: str = ""
    """`too few (3 of ill)`: not compared, not ranked."""
    over: Sequence[str] = ()
    """Classes or findings that its means are over, where they are not all."""


def subgroups(rows: pd.DataFrame, task: Task, columns: pd.DataFrame) -> list[Subgroup]:
    """Every level of every column. `rows`: judged predictions of one split; `columns`: row for row beside them, strings, empty = unknown.

    Of two classes: sensitivity, specificity, AUROC and balanced accuracy; of several classes their means of recall and AUROC; of several
    findings the means of sensitivity, specificity and AUROC. A column with one value has no subgroups.
    """
    order = rows.reset_index(drop=True).sort_values(KEY).index.to_numpy()
    judged = rows.iloc[order].reset_index(drop=True)
    sides = _Sides(judged, task)
    found, seen = [], []
    for name in columns.columns:
        for level, mask in levels(columns[name].iloc[order].reset_index(drop=True), name):
            if not mask.all():
                where = np.empty_like(mask)
                where[order] = mask
                found.append(_compared(name, level, mask, where, sides))
                seen.append(min(mask.tobytes(), (~mask).tobytes()))  # of two halves one differs from the other once, not twice
    return _corrected(found, seen)


def levels(values: pd.Series[str], name: str) -> Iterator[tuple[str, Mask]]:
    """The values of a column and (N,) where each is: ages in bands, other measurements in halves, else the commonest, then `unknown`."""
    given = values.fillna("").to_numpy(str)
    known = given != ""
    numbers = pd.to_numeric(pd.Series(np.where(known, given, "nan")), errors="coerce").to_numpy(np.float64)
    if known.any() and np.isfinite(numbers[known]).all() and len(np.unique(numbers[known])) > LEVELS:
        middle = float(np.median(numbers[known]))
        halves = ((-math.inf, middle, f"under {middle:g}"), (middle, math.inf, f"{middle:g} and over"))
        for low, high, label in AGES if name == "age" else halves:
            within = (numbers >= low) & (numbers < high)
            if within.any():
                yield label, within
    else:
        values_there, counts = np.unique(given[known], return_counts=True)
        for place in np.argsort(-counts, kind="stable")[:LEVELS]:
            yield str(values_there[place]), given == values_there[place]
    if not known.all():
        yield "unknown", ~known


def worst(found: Sequence[Subgroup]) -> Subgroup | None:
    """The subgroup that falls behind the rest most, by :data:`BALANCED`; None where none can be compared. Never one of too few."""
    able = [each for each in found if BALANCED in each.gaps]
    return min(able, key=lambda each: (each.gaps[BALANCED].difference["value"], each.by, each.level), default=None)


class _Sides:
    """The judged images as cases, cut in two again and again."""

    def __init__(self, rows: pd.DataFrame, task: Task):
        self.names, self.positive, self.together = task.names, task.positive_index, task.kind == "multi"
        if self.together:
            told = findings_from_table(rows, task)
            self._each = [(told.one(index), np.isfinite(told.truth[:, index])) for index in range(len(task.names))]
            self.groups = told.groups
        else:
            cases = from_table(rows, task)
            self._each, self.groups = [(cases, np.ones(len(rows), dtype=bool))], cases.groups

    def of(self, mask: Mask) -> list[Cases]:
        """The cases within (N,) `mask`; of several findings one each."""
        return [_within(cases, mask[known]) for cases, known in self._each]


def _within(cases: Cases, mask: Mask) -> Cases:
    """Some of the images; groups keep their numbers, so that influences of both parts stand side by side."""
    return dataclasses.replace(
        cases,
        truth=cases.truth[mask],
        predicted=cases.predicted[mask],
        probabilities=cases.probabilities[mask],
        groups=cases.groups[mask],
    )


def _compared(by: str, level: str, mask: Mask, where: Mask, sides: _Sides) -> Subgroup:
    images, groups = int(mask.sum()), int(np.unique(sides.groups[mask]).size)
    own, rest = sides.of(mask), sides.of(~mask)
    able, few = _comparable(own, rest, sides)
    if few:
        return Subgroup(by, level, images, groups, where, {}, few)
    gaps = {
        name: _gap(*(mean_of([pair[side] for pair in pairs]) for side in (0, 1))) for name, pairs in _pairs(own, rest, able, sides).items()
    }
    some = len(able) < len(sides.names) and (sides.together or sides.positive is None)
    return Subgroup(by, level, images, groups, where, gaps, over=[sides.names[index] for index in able] if some else [])


def _pairs(own: list[Cases], rest: list[Cases], able: list[int], sides: _Sides) -> dict[str, list[list[Side]]]:
    """Figure -> what it is the mean of: (subgroup's, rest's) each."""
    if sides.together:
        both = [(own[k], rest[k]) for k in able]
        found, missed = ([[share(side, index) for side in pair] for pair in both] for index in (1, 0))
        ranked = [[area(side, 1) for side in pair] for pair in both]
        return {"mean sensitivity": found, "mean specificity": missed, "mean AUROC": ranked, BALANCED: [*found, *missed]}
    yes, recalls = sides.positive, {index: [share(own[0], index), share(rest[0], index)] for index in able}
    if yes is None:
        return {BALANCED: list(recalls.values()), "mean AUROC": [[area(own[0], index), area(rest[0], index)] for index in able]}
    ranked = [[area(own[0], yes), area(rest[0], yes)]]
    return {"sensitivity": [recalls[yes]], "specificity": [recalls[1 - yes]], "AUROC": ranked, BALANCED: list(recalls.values())}


def _comparable(own: list[Cases], rest: list[Cases], sides: _Sides) -> tuple[list[int], str]:
    """Classes or findings with and without which there are enough groups on either side; and what there is too little of, if none do."""
    if sides.together:
        able = [k for k in range(len(own)) if min(_fewest(cases, index) for cases in (own[k], rest[k]) for index in (0, 1)) >= FEW]
        return able, "" if able else f"{TOO_FEW} of every finding"
    counts = {index: min(_fewest(own[0], index), _fewest(rest[0], index)) for index in range(len(sides.names))}
    if sides.positive is not None:
        scarce = [f"{_fewest(own[0], index)} of {sides.names[index]}" for index in counts if _fewest(own[0], index) < FEW]
        scarce += [f"{_fewest(rest[0], index)} of {sides.names[index]} elsewhere" for index in counts if _fewest(rest[0], index) < FEW]
        return list(counts), f"{TOO_FEW} ({', '.join(scarce)})" if scarce else ""
    able = [index for index, count in counts.items() if count >= FEW]
    return able, "" if len(able) > 1 else f"{TOO_FEW} of {'all classes but one' if able else 'every class'}"


def _fewest(cases: Cases, index: int) -> int:
    """Groups that hold the class, and have an image of it that was read: a rank needs one."""
    return int(np.unique(cases.groups[(cases.truth == index) & cases.read]).size)


def _gap(own: Side, rest: Side) -> Gap:
    value = own.value - rest.value
    low = value - math.hypot(own.value - own.interval.low, rest.interval.high - rest.value)
    high = value + math.hypot(own.interval.high - own.value, rest.value - rest.interval.low)
    influences = contrast(own.linear, rest.linear)
    wide = Interval(low, high).around(Interval(influences.low, influences.high))
    wide = Interval(max(-1.0, wide.low), min(1.0, wide.high))
    reach = value - wide.low if value > 0 else wide.high - value
    p = float(2 * norm.sf(Z * abs(value) / reach)) if reach > 0 else 1.0
    return Gap(estimate(own.value, own.interval), estimate(rest.value, rest.interval), estimate(value, wide), p, p)


def _corrected(found: list[Subgroup], seen: Sequence[bytes]) -> list[Subgroup]:
    """Holm's correction over every question, asked once."""
    questions = {(cut, name): gap.p for each, cut in zip(found, seen, strict=True) for name, gap in each.gaps.items()}
    adjusted = dict(zip(questions, holm(list(questions.values())), strict=True))
    return [
        dataclasses.replace(each, gaps={name: dataclasses.replace(gap, corrected=adjusted[cut, name]) for name, gap in each.gaps.items()})
        for each, cut in zip(found, seen, strict=True)
    ]
