"""What is known of a study's search: its parts, its trials, the best of them; and what is judged at the end.

Optuna's journal in the study's folder holds all of it. `searching` does the work.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from medtl.errors import MedtlError
from medtl.experiment.save import save_experiment
from medtl.experiment.schema import Experiment
from medtl.flows import study_results
from medtl.flows.run import load_run
from medtl.flows.run_folder import finished
from medtl.flows.trials import Planned, Site
from medtl.study import journal
from medtl.study.space import Dimension, SearchSettings, dimensions, overrides_of, values_in
from medtl.study.trials import FAILED, PRUNED, Ended, Trial

RUN, REASON, VOID, EXHAUSTED = "run", "reason", "void", "exhausted"
"""What the journal keeps of a proposal: its run, why it failed, why it does not count; and of a search: that its space holds no more."""


@dataclass(frozen=True)
class Part:
    """One search: the only one, or that of a fold which it never sees."""

    name: str
    fold: int | None
    overrides: tuple[str, ...]
    base: Planned
    steps: int
    """Epochs of the longest trial, all its folds together."""


@dataclass(frozen=True)
class Search:
    """A study's search, resolved against its base."""

    site: Site
    settings: SearchSettings
    space: list[Dimension]
    parts: list[Part]

    @cached_property
    def memories(self) -> dict[str, optuna.Study]:
        """What is known of each part: always what stands in the journal, whoever wrote it."""
        storage = journal.open_journal(self.site.folder)
        pruners = {part.name: journal.pruner(self.settings.pruner, part.steps) for part in self.parts}
        return {name: journal.search_of(storage, name, pruner) for name, pruner in pruners.items()}

    @property
    def first(self) -> Experiment:
        """Of all trials, the task and the cohorts."""
        return self.parts[0].base.experiment

    def memory(self, part: Part) -> optuna.Study:
        """What is known of a part."""
        return self.memories[part.name]


def plan(site: Site, settings: SearchSettings) -> Search:
    """Everything that can be wrong with the search is told before anything is trained."""
    parts: list[Part] = []
    for fold in [None] if settings.nested is None else range(settings.nested):
        outer = () if fold is None else (f"split.folds={settings.nested}", f"split.fold={fold}")
        overrides = (*site.study.set, *outer, f"split.fraction={site.study.fractions[0]}", f"seed={site.study.seeds[0]}")
        base = site.resolved(overrides)
        if fold is not None and (base.experiment.split.folds, base.experiment.split.fold) != (settings.nested, fold):
            raise MedtlError(f"{site.file}: `nested` decides split.folds and split.fold itself; leave them out of --set")
        longest = settings.space.get("transfer.epochs")
        space = dimensions(settings.space, base.experiment, site.file)
        epochs = max(next(each for each in space if each.key == "transfer.epochs").ends()) if longest else base.experiment.transfer.epochs
        name = "search" if fold is None else f"fold-{fold}"
        parts.append(Part(name, fold, overrides, base, epochs * (base.experiment.split.fits or 1)))
    return Search(site, settings, space, parts)


def trials(search: Search) -> dict[str, Trial]:
    """All that was tried, the base first; and, once the search is over, what is judged on test."""
    found: dict[str, Trial] = {}
    seed, fraction = search.site.study.seeds[0], search.site.study.fractions[0]
    ended = all(over(search, part) for part in search.parts)
    for part in search.parts:
        known = values_in(part.base.experiment, search.space) or {}
        found[part.base.name] = Trial("base", fraction, seed, part.overrides, part.fold, known, tested=False)
        for proposal in counted(search, part):
            name = proposal.user_attrs.get(RUN, f"{part.name}-{proposal.number}")
            values = values_of(search, proposal)
            found[name] = Trial("search", fraction, seed, part.overrides, part.fold, values, tested=False, ended=_ended(proposal))
        if ended:
            found |= {planned.name: trial for planned, trial in finals(search, part)}
    return found


def write_best(search: Search) -> None:
    """Write the chosen settings as configs that `medtl train` takes: `best.yaml`, or one for each fold."""
    for part in search.parts:
        if over(search, part):
            values = best(search, part)
            chosen = part.base if values is None else search.site.resolved((*part.overrides, *overrides_of(values)))
            file = search.site.folder / ("best.yaml" if part.fold is None else f"best-{part.fold}.yaml")
            save_experiment(chosen.experiment, file)
            search.site.line.keep(f"best settings: {file}   (medtl train {file} --data {search.site.root})")


def counted(search: Search, part: Part) -> list[FrozenTrial]:
    """The proposals that are part of the budget, besides the base."""
    every = search.memory(part).get_trials(deepcopy=False)
    return [each for each in every if VOID not in each.user_attrs and each.user_attrs.get(RUN) != part.base.name]


def spent(search: Search, part: Part, memory: optuna.Study) -> bool:
    return len(counted(search, part)) + 1 >= search.settings.trials or EXHAUSTED in memory.user_attrs


def over(search: Search, part: Part) -> bool:
    """Whether all of a part's trials have ended."""
    waiting = any(not each.state.is_finished() for each in counted(search, part))
    base = finished(search.site.place(part.base.name)) or search.site.failed(part.base.name).exists()
    return base and not waiting and spent(search, part, search.memory(part))


def best(search: Search, part: Part) -> Mapping[str, Any] | None:
    """The settings with the best validation score; None where that is the base, which also wins a tie."""
    place = search.site.place(part.base.name)
    score, found = study_results.reached(load_run(place)) if finished(place) else -float("inf"), None
    for each in counted(search, part):
        if each.state == TrialState.COMPLETE and each.value is not None and each.value > score:
            score, found = each.value, values_of(search, each)
    return found


def finals(search: Search, part: Part) -> Iterator[tuple[Planned, Trial]]:
    """What is judged on test: the base and the best, trained with every seed."""
    study, chosen = search.site.study, best(search, part)
    known = values_in(part.base.experiment, search.space) or {}
    for seed in study.seeds:
        for arm, values in (("base", None), ("best", chosen)):
            if arm == "base" or values is not None:
                overrides = (*part.overrides, *overrides_of(values or {}), f"seed={seed}")
                shown = known if values is None else values
                yield search.site.resolved(overrides), Trial(arm, study.fractions[0], seed, overrides, part.fold, shown)


def values_of(search: Search, trial: FrozenTrial | optuna.Trial) -> dict[str, Any]:
    return {each.key: each.value(trial.params[each.key]) for each in search.space if each.key in trial.params}


def _ended(trial: FrozenTrial) -> Ended | None:
    if trial.state == TrialState.FAIL:
        return Ended(FAILED, trial.user_attrs.get(REASON, ""))
    return Ended(PRUNED, "", trial.value) if trial.state == TrialState.PRUNED else None
