"""What stress views show of a model: the same images judged once as they are and once under each view (docs/stress.md).

AUROC (of several classes the mean of one against rest, of several findings their mean) with Obuchowski's interval, the paired difference
from the plain images by group, and how many answers change. What may be said of it is fixed here, before anybody looks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from medtl.contracts import Task
from medtl.estimates import estimate as words_of
from medtl.estimates import number
from medtl.evaluation import delong
from medtl.evaluation.cases import Cases, each_member, findings_from_table, from_table
from medtl.evaluation.contrast import Contrast, contrast
from medtl.evaluation.crossed import holm
from medtl.evaluation.figures import Estimate, estimate, share_of
from medtl.evaluation.influence import Linear, both_read, figures, mean_of
from medtl.evaluation.intervals import auroc_interval
from medtl.evaluation.paired import refuse_other_images
from medtl.predictions import PLAIN
from medtl.records import KEY
from medtl.stress.views import VIEWS, View

RETAINED = 0.25
"""Of what a model ranks better than chance on plain images: a view without the middle that keeps so much of it is called out."""
COST = 0.02
"""AUROC: a view that is shown to cost less is not spoken of."""
FEWEST = 10
"""Groups with, and without, the class below which nothing is said."""
LEVEL = 0.025
"""One-sided, corrected by Holm over all views that are judged by their cost."""


@dataclass(frozen=True)
class Stressed:
    """One view beside the plain images."""

    view: View
    auroc: Estimate
    gap: Contrast
    """AUROC under the view less that of the plain images."""
    changed: Estimate
    """Share of the images that are called something else."""


@dataclass(frozen=True)
class StressTest:
    """All views of one split."""

    plain: Estimate
    images: int
    groups: int
    views: Sequence[Stressed]


@dataclass(frozen=True)
class Said:
    """A sentence; `grave`: it speaks of a shortcut."""

    text: str
    grave: bool = False


def stressed(rows: pd.DataFrame, task: Task) -> StressTest | None:
    """`rows`: a predictions table of one split. None where it holds no stress view, or no class has cases on both sides."""
    known = rows[rows["truth"] != ""]
    whole = known[known["member"] == ""]
    own = (whole if len(whole) else each_member(known)).sort_values(KEY, ignore_index=True)
    there = [view for view in VIEWS if (own["view"] == view.name).any()]
    plain_rows = own[own["view"] == PLAIN].reset_index(drop=True)
    found: list[Stressed] = []
    reference: Linear | None = None
    for view in there:
        pair = _pair(own[own["view"] == view.name].assign(view=PLAIN).reset_index(drop=True), plain_rows, task)
        sides = [_auroc([both_read(*each)[side] for each in pair]) for side in (0, 1)]
        if sides[0] is None or sides[1] is None:
            return None
        reference = sides[1]
        found.append(Stressed(view, area_estimate(sides[0]), contrast(sides[0], sides[1]), _changed(pair)))
    if reference is None:
        return None
    return StressTest(area_estimate(reference), len(plain_rows), max(plain.group_count for _, plain in pair), found)


def _pair(shown: pd.DataFrame, plain: pd.DataFrame, task: Task) -> list[tuple[Cases, Cases]]:
    """A view and the plain images, of several findings a pair for each. Raises MedtlError where they are other images."""
    if task.kind == "multi":
        told = findings_from_table(shown, task), findings_from_table(plain, task)
        refuse_other_images(shown, plain, *told)
        return [(told[0].one(index), told[1].one(index)) for index in range(len(task.names))]
    pair = from_table(shown, task), from_table(plain, task)
    refuse_other_images(shown, plain, *pair)
    return [pair]


def _auroc(parts: Sequence[Cases]) -> Linear | None:
    known = [found["auroc"] for found in map(figures, parts) if "auroc" in found]
    return mean_of(known) if known else None


def area_estimate(area: Linear) -> Estimate:
    """With Obuchowski's interval on the log-odds; of an area without any overlap, Newcombe's for as many groups on each side."""
    if area.groups < 2:
        return estimate(area.value, None, "one group only with, or without, the class")
    number_of = len(area.influence)
    error = math.sqrt(number_of / (number_of - 1) * float(area.influence @ area.influence))
    if not 0 < area.value < 1 or error == 0:
        return estimate(area.value, auroc_interval(area.value, area.groups, area.groups))
    return estimate(area.value, delong.interval(area.value, error, area.groups))


def _changed(pair: Sequence[tuple[Cases, Cases]]) -> Estimate:
    """Of several findings: the share of their answers, not of the images."""
    moved = np.concatenate([shown.predicted != plain.predicted for shown, plain in pair])
    groups = np.concatenate([plain.groups for _, plain in pair])
    return share_of(moved, np.ones(len(moved), dtype=bool), groups)


def sentences(test: StressTest) -> list[Said]:
    """What may be said, the shortcuts first."""
    if min(each.gap.freedom for each in test.views) + 1 < FEWEST:
        return [Said(f"Too few groups to say anything of the views (fewer than {FEWEST} with, or without, a class).")]
    if _low(test.plain) <= 0.5:
        return [
            Said(f"On the plain images it ranks no better than chance, {words_of(test.plain)}: there is nothing that a view could cost.")
        ]
    told = [*(_of_border(each, test.plain) for each in test.views if each.view.asks == "elsewhere"), *_of_costs(test)]
    return sorted(told, key=lambda said: not said.grave)


def _of_border(found: Stressed, plain: Estimate) -> Said:
    """Whether it ranks by what is left when the middle is gone."""
    begun = f"With {found.view.words}, this model "
    scores = words_of(found.auroc)
    if _low(found.auroc) <= 0.5:
        return Said(f"{begun}scores {scores}, which chance could give: that it goes by the border is not shown.")
    share = (found.auroc["value"] - 0.5) / (plain["value"] - 0.5)
    if share < RETAINED:
        return Said(f"{begun}scores {scores}: better than chance, but little of the {number(plain['value'])} that it reaches.")
    return Said(f"{begun}still scores {scores}: part of what it knows lies at the border, not where lung or lesion are shown.", grave=True)


def _of_costs(test: StressTest) -> Iterator[Said]:
    """Views that are shown to cost something; of a family the weakest such."""
    judged = [each for each in test.views if each.view.asks != "elsewhere"]
    corrected = holm([_p_below(each.gap) for each in judged])
    costly = [each for each, p in zip(judged, corrected, strict=True) if p <= LEVEL and -each.gap.value >= COST]
    for each in costly:
        if each.view.asks == "marks":
            scores = f"With {each.view.words}, it scores {words_of(each.auroc)}, {_lost(each.gap)} less"
            yield Said(f"{scores}: it goes by letters, crosses or ink, or by what lies under them.", grave=True)
    families: set[str] = set()
    for each in costly:
        if each.view.asks == "cost" and each.view.family not in families:
            families |= {each.view.family} - {""}
            words = each.view.words[0].upper() + each.view.words[1:]
            yield Said(f"{words} costs {_lost(each.gap)} AUROC.")
    if not costly:
        yield Said(f"No other view is shown to cost {COST:g} AUROC or more.")


def _lost(gap: Contrast) -> str:
    """`0.123 (0.081 to 0.164)`; only of a difference that is shown to be below 0."""
    return words_of({"value": -gap.value, "low": max(0.0, -gap.high), "high": -gap.low})


def _p_below(gap: Contrast) -> float:
    """One-sided, that the view costs nothing."""
    return Contrast(gap.candidate, gap.reference, gap.error, gap.freedom).p_above(0.0)


def _low(figure: Estimate) -> float:
    low = figure.get("low")
    return 0.0 if low is None else float(low)
