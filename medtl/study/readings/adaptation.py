"""The adaptation table: what each method has on patients of the target whose labels no training saw.

Every candidate of every seed answers the same target patients; source-only, the ceilings and brightness alone stand beside. Intervals cross
trainings and patients (:mod:`medtl.evaluation.crossed`). The primary method was named before, and is tested as it is; the others are tested
together, with Holm's correction (Scandinavian Journal of Statistics 1979). The method that looks best is not claimed for having looked so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import Field

from medtl import registry
from medtl.adaptation import SOURCE_ONLY
from medtl.contracts import Task
from medtl.estimates import number, percent
from medtl.evaluation.crossed import interval
from medtl.registry import Mistake
from medtl.study import adaptation_tables as tables
from medtl.study import each_finding
from medtl.study.adapted import Adapted, adapted
from medtl.study.figures import candidates_and_ceilings
from medtl.study.judged import refuse_other_images
from medtl.study.reading import Claim, Reading
from medtl.study.target import TRAINED_THERE, Opened
from medtl.study.trials import DONE

TIMED, OPENS_TARGET = False, True
QUESTION = "what does adapting bring on the target's patients?"
ONE_SEED = "; one seed tells nothing about training luck"


class Settings(registry.Settings):
    name: Literal["adaptation"] = "adaptation"
    wanted: Annotated[float, Field(gt=0.5, lt=1)] | None = None
    """An AUROC on the target that is to be reached without its labels."""
    recovered: Annotated[float, Field(gt=0, le=1)] | None = None
    """The share of the gap that is to be recovered."""
    ceiling: bool = True
    """Whether the same recipe is also trained on the target's own labels, once for every seed, as what could be had."""
    as_taken: str | None = None
    """Of a made shift: a folder, relative to the data root, with the target's images as they were before, under the names that they have in
    the `folder` of their cohort; what source-only has on them is another ceiling."""

    def unfit(self, arms: list[str]) -> list[Mistake]:
        """Any number of arms will do."""
        return (
            [Mistake(("recovered",), self.recovered, "needs a ceiling; leave `ceiling: true`, or name as_taken")] if self._unceiled else []
        )

    def unsuited(self, experiment: Any) -> str:
        """Why a trial cannot be read so."""
        return "has `adaptation: none`; the reading `adaptation` is of trials that adapt" if experiment.adaptation == "none" else ""

    @property
    def _unceiled(self) -> bool:
        return self.recovered is not None and not self.ceiling and self.as_taken is None


def read(
    settings: Settings,
    trials: pd.DataFrame,
    judged: Mapping[str, pd.DataFrame],
    curves: pd.DataFrame,
    task: Task,
    opened: Mapping[str, Opened],
) -> Reading:
    """The contract of `medtl.study.readings`; looks at the trials with the largest fraction of the labels."""
    trials = trials[trials["fraction"] == trials["fraction"].max()]
    if not opened:
        note = "The target's labels are not opened yet: they are once every trial and ceiling is trained. The same command goes on."
        return Reading(QUESTION, [], [], [note], pd.DataFrame())
    refuse_other_images({name: each.answers[SOURCE_ONLY] for name, each in opened.items()})
    done = trials[(trials["state"] == DONE) & trials["trial"].isin(list(opened))].sort_values("seed", kind="stable")
    seeds = sorted(trials["seed"].unique())
    complete = {arm: own for arm, own in done.groupby("arm", sort=False) if sorted(own["seed"]) == seeds}
    arms = [adapted(str(arm), list(own["seed"]), [opened[name] for name in own["trial"]], task) for arm, own in complete.items()]
    notes = [f"{arm} is left out: a seed is missing or failed." for arm in dict.fromkeys(trials["arm"]) if arm not in complete]
    if not arms:
        return Reading(QUESTION, [], [], notes, pd.DataFrame())
    lucky = len(seeds) < 2 and bool(done["luck"].astype(bool).any())
    told = {tables.named(of, name, len(arms)): of.answers(name, task) for of in arms for name in of.candidates}
    shown = [
        tables.candidates(arms),
        *each_finding.table(told, "AUROC of each finding on the target"),
        *(tables.gaps(arms), tables.ways(arms), tables.scores(arms), tables.releases(arms)),
    ]
    claims = [claim for of in arms for claim in _claims(of, settings, lucky, len(arms))]
    plots = [
        (f"AUROC on {of.opened[0].domain}" + (f", {of.arm}" if len(arms) > 1 else ""), candidates_and_ceilings(of, settings.wanted))
        for of in arms
    ]
    return Reading(
        QUESTION,
        claims,
        [each for each in shown if each is not None],
        [*notes, *each_finding.notes(next(iter(told.values()))), *_notes(arms, len(seeds))],
        pd.DataFrame(),
        plots,
    )


def _claims(of: Adapted, settings: Settings, lucky: bool, arms: int) -> Iterator[Claim]:
    """`lucky`: whether one seed has to stand for the luck of training."""
    domain = of.opened[0].domain
    for method, p in of.p_values(of.gain).items():
        gap = of.gain(method)
        low, high = interval(gap)
        told, better = p < 0.05 and not lucky, gap.mean > 0
        which = "" if method == of.primary else " after Holm's correction"
        text = f"{tables.difference(gap)} AUROC against source-only on {domain}, p {number(p)}{which}" + (ONE_SEED if lucky else "")
        what = f"adapting by {tables.named(of, method, arms)} {'harms' if told and not better else 'helps'}"
        yield Claim(what, told, text, {"value": gap.mean, "low": low, "high": high, "p": p})
    if settings.wanted is not None:
        yield _wanted(of, settings.wanted, lucky, arms)
    for ceiling in of.ceilings:
        yield _recovered(of, ceiling, settings.recovered, lucky, arms)


def _wanted(of: Adapted, wanted: float, lucky: bool, arms: int) -> Claim:
    """Whether some method without target labels reaches a stated AUROC, by the same two families of tests."""
    p_values = of.p_values(lambda name: of.candidates[name].auroc.above(wanted))
    reached = [name for name, p in p_values.items() if p < 0.05 and of.candidates[name].auroc.mean > wanted and not lucky]
    told = [f"{name} {tables.auroc(of.candidates[name].auroc)}" for name in (reached or [of.primary])]
    rest = [name for name in of.methods if name != of.primary]
    if not reached and rest:
        best = max(rest, key=lambda name: of.candidates[name].auroc.mean)
        told.append(f"the best of {len(rest)} others, {best} {tables.auroc(of.candidates[best].auroc)}")
    what = f"an AUROC of {number(wanted)} or more without labels of {of.opened[0].domain}" + (f", {of.arm}" if arms > 1 else "")
    told.append(f"{SOURCE_ONLY} {tables.auroc(of.candidates[SOURCE_ONLY].auroc)}")
    text = ("reached by " if reached else "") + "; ".join(told) + (ONE_SEED if lucky else "")
    return Claim(what, bool(reached), text, {"reached": reached})


def _recovered(of: Adapted, ceiling: str, wanted: float | None, lucky: bool, arms: int) -> Claim:
    """The primary method's share of a gap; at least `wanted`, or more than nothing."""
    against = f"the gap to {_of_ceiling(ceiling)}"
    least = "" if wanted is None else f"{percent(wanted, 0)} or more of "
    what = f"{least}{against} recovered by {tables.named(of, of.primary, arms)}"
    share = tables.share_of(of, of.primary, ceiling)
    if share is None:
        gap = of.ceilings[ceiling].auroc.less(of.source)
        return Claim(what, False, f"no gap to recover: {tables.difference(gap)} AUROC", {"value": None})
    shown = share.low > 0 if wanted is None else share.low >= wanted
    figures = {"value": share.value, "low": share.low, "high": share.high}
    return Claim(what, shown and not lucky, f"share {tables.share_said(share)}" + (ONE_SEED if lucky else ""), figures)


def _of_ceiling(ceiling: str) -> str:
    return "a model trained on the target's labels" if ceiling == TRAINED_THERE else "images as taken"


def _notes(arms: Sequence[Adapted], seeds: int) -> Iterator[str]:
    if seeds < 3:
        yield f"Only {seeds} seed{'s' if seeds > 1 else ''}: intervals know little of training luck; take at least 3."
    looks = [each.looks for of in arms for each in of.opened]
    last = max(looks, key=lambda look: look["look"])
    yield (
        f"The labels of {arms[0].opened[0].domain}'s test patients were opened once, after all training, for all candidates and ceilings: "
        f"each counts as a look, of which the last was number {last['look']} at these images, by {last['models']} models in all."
    )
    yield (
        "Target-trained: the same recipe with the labels of the target's own training and validation patients. It is what this recipe "
        "has with them, and no bound on what could be had."
    )
    yield "The test AUROC of a single trial (below) is of the released model on the source's own test patients."
    for of in arms:
        for seed, each in zip(of.seeds, of.opened, strict=True):
            yield from (f"{tables.named(of, name, len(arms))}, seed {seed}, is missing: {why}" for name, why in each.missing.items())
