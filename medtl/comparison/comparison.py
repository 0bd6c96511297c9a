"""Candidates against a reference on the same images: what each figure differs by, and what may be said.

One figure was named before the look (`measure`); of it alone something is said, with Holm's correction over the candidates, so that many of
them do not make a winner or a loser by chance. *Better*: the difference is above 0. *Worse*: it is below. *Not worse* (non-inferior): it is
above -margin, which was stated before (Piaggio et al., JAMA 2012). Everything else is shown beside it and claims nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from medtl.comparison.shares import paired_shares
from medtl.contracts import Task
from medtl.errors import MedtlError, did_you_mean, listed
from medtl.evaluation.cases import Cases, findings_from_table, from_table
from medtl.evaluation.contrast import Contrast, ShareContrast, contrast, contrast_of_shares
from medtl.evaluation.crossed import holm
from medtl.evaluation.influence import Linear, both_read, figures, mean_of
from medtl.evaluation.paired import refuse_other_images
from medtl.records import KEY

BRIER = "Brier score"
FEWEST = 10
"""Groups of each class below which nothing is said."""
LEVEL = 0.025
"""One-sided, as the 95 % interval's ends."""


@dataclass(frozen=True)
class Candidate:
    """One model beside the reference."""

    name: str
    contrasts: Mapping[str, Contrast]
    """Figure -> candidate less reference."""
    p_better: float
    """Of the measure, one-sided, corrected by Holm over the candidates; so are the next two."""
    p_worse: float
    p_not_worse: float | None
    """None where no margin was stated."""
    verdict: str


@dataclass(frozen=True)
class Comparison:
    """All candidates; `images` and `groups` of the reference's table."""

    reference: str
    measure: str
    margin: float | None
    images: int
    groups: int
    candidates: Sequence[Candidate]


def compare(tables: Mapping[str, pd.DataFrame], task: Task, measure: str = "auroc", margin: float | None = None) -> Comparison:
    """The first of `tables` (name -> judged rows of one split) is the reference.

    Raises MedtlError where images, truths or groups differ, or where the measure is none of the task's or cannot be told of a candidate.
    """
    if len(tables) < 2:
        raise MedtlError("a comparison needs a reference and at least one candidate")
    (reference, first), *others = tables.items()
    found = {name: _contrasts(table, first, task) for name, table in others}
    _refuse_measure(measure, reference, _contrasts(first, first, task), found)
    told = [own[measure] for own in found.values()]
    better, worse = holm([each.p_above(0.0) for each in told]), holm([each.p_below(0.0) for each in told])
    not_worse = [None] * len(told) if margin is None else holm([each.p_above(-margin) for each in told])
    candidates = [
        Candidate(name, found[name], p, q, r, _verdict(each, p, q, r, margin))
        for name, each, p, q, r in zip(found, told, better, worse, not_worse, strict=True)
    ]
    groups = first["group_id"].nunique()
    return Comparison(reference, measure, margin, len(first), groups, candidates)


def _refuse_measure(
    measure: str, reference: str, of_reference: Mapping[str, Contrast], found: Mapping[str, Mapping[str, Contrast]]
) -> None:
    """`found`: figures of each candidate. A figure that needs images of a class read may lack of some."""
    known = [name for name in of_reference if name != BRIER]
    if measure == BRIER:
        raise MedtlError(f"--measure {measure}: is shown, but lower is better; choose one of: {', '.join(known)}")
    if measure not in known:
        raise MedtlError(
            f"--measure {measure}: there is no such figure of {reference}{did_you_mean(measure, known)}; there are: {', '.join(known)}"
        )
    lacking = [name for name, own in found.items() if measure not in own]
    if lacking:
        common = [name for name in known if all(name in own for own in found.values())]
        raise MedtlError(
            f"--measure {measure}: cannot be told of {listed(lacking)}, for too few images of some class were read; leave it out, "
            f"or choose one of: {', '.join(common)}"
        )


def _contrasts(candidate: pd.DataFrame, reference: pd.DataFrame, task: Task) -> dict[str, Contrast]:
    first, second = (table.sort_values(KEY, ignore_index=True) for table in (candidate, reference))
    if task.kind == "multi":
        told = findings_from_table(first, task), findings_from_table(second, task)
        refuse_other_images(first, second, *told)
        pairs = [(told[0].one(index), told[1].one(index)) for index in range(len(task.names))]
        own, other = ({name: _figures(pair, side) for name, pair in zip(task.names, pairs, strict=True)} for side in (0, 1))
        return _of_findings(own, other)
    pair = from_table(first, task), from_table(second, task)
    refuse_other_images(first, second, *pair)
    mine, theirs, shares = _figures(pair, 0), _figures(pair, 1), paired_shares(*pair)
    return {**_each(mine, theirs), **{name: contrast_of_shares(mine[name], theirs[name], shares[name]) for name in shares}}


def _figures(pair: tuple[Cases, Cases], side: int) -> dict[str, Linear]:
    return figures(both_read(*pair)[side])


def _each(own: Mapping[str, Linear], other: Mapping[str, Linear]) -> dict[str, Contrast]:
    return {name: contrast(own[name], other[name]) for name in own if name in other}


def _of_findings(own: Mapping[str, Mapping[str, Linear]], other: Mapping[str, Mapping[str, Linear]]) -> dict[str, Contrast]:
    """The means over findings, then each finding's AUROC."""
    means = {}
    for name in ("auroc", "balanced accuracy", "sensitivity", "specificity", BRIER):
        parts = [(own[each][name], other[each][name]) for each in own if name in own[each] and name in other[each]]
        if parts:
            means[name] = contrast(mean_of([mine for mine, _ in parts]), mean_of([theirs for _, theirs in parts]))
    brier = means.pop(BRIER, None)
    each = {f"auroc of {name}": contrast(own[name]["auroc"], other[name]["auroc"]) for name in own if "auroc" in own[name]}
    return {**means, **each, **({BRIER: brier} if brier else {})}


def _verdict(told: Contrast, better: float, worse: float, not_worse: float | None, margin: float | None) -> str:
    if told.freedom + 1 < FEWEST or math.isnan(told.error):
        return f"too few groups to say anything (fewer than {FEWEST})"
    kept, lower = not_worse is not None and not_worse <= LEVEL, worse <= LEVEL
    if np.isclose(told.value, 0) and told.error == 0 and (kept or not isinstance(told, ShareContrast)):
        return "the same"  # of a share as much is lost as won, so what holds of -margin holds of +margin
    if better <= LEVEL:
        return "better"
    if kept:
        return f"not worse by more than {margin:g}" + (", but lower" if lower else "")
    if lower:
        return "worse"
    return "no difference shown" if margin is None else f"may be worse by more than {margin:g}"
