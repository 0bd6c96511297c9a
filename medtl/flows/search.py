"""The search of a study: base first, then proposals, each a run that never opens its test images; at the end the base and the best do.

Optuna proposes and prunes, by validation alone; its journal lies in the study's folder. A worker takes its next trial while it holds the
study's turn, so no two train the same; what a killed worker left running is continued by the next that comes.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from medtl.errors import MedtlError
from medtl.experiment.save import save_experiment
from medtl.experiment.schema import Experiment
from medtl.files import claimed
from medtl.flows import study_results
from medtl.flows.pruning import Pruned, Pruning
from medtl.flows.run import load_run
from medtl.flows.run_folder import finished
from medtl.flows.trials import Planned, Site, run_all, train_trial, write_failure
from medtl.study import journal
from medtl.study.space import Dimension, SearchSettings, dimensions, overrides_of, values_in
from medtl.study.trials import FAILED, PRUNED, Ended, Trial

RUN, REASON, VOID = "run", "reason", "void"
"""What the journal keeps of a proposal: its run, why it failed, why it does not count."""
GUIDED, BLIND = 10, 40
"""Proposals in a row that may bring nothing new: by the sampler, then by chance. After that the space is taken for exhausted."""


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
        base.experiment.task.refuse_several("medtl study")
        longest = settings.space.get("transfer.epochs")
        space = dimensions(settings.space, base.experiment, site.file)
        epochs = max(next(each for each in space if each.key == "transfer.epochs").ends()) if longest else base.experiment.transfer.epochs
        name = "search" if fold is None else f"fold-{fold}"
        parts.append(Part(name, fold, overrides, base, epochs * (base.experiment.split.fits or 1)))
    return Search(site, settings, space, parts)


def run(search: Search) -> None:
    """Search until the budget is spent; then, once nobody searches any more, retrain and judge the base and the best."""
    for part in search.parts:
        _search(search, part)
    if search.site.over:
        search.site.line.keep(f"{search.site.study.minutes:g} minutes are over; the same command goes on")
    elif all(_over(search, part) for part in search.parts):
        everything = trials(search)
        run_all(search.site, everything, {planned.name: planned for part in search.parts for planned, _ in _finals(search, part)})


def trials(search: Search) -> dict[str, Trial]:
    """All that was tried, the base first; and, once the search is over, what is judged on test."""
    found: dict[str, Trial] = {}
    seed, fraction = search.site.study.seeds[0], search.site.study.fractions[0]
    over = all(_over(search, part) for part in search.parts)
    for part in search.parts:
        known = values_in(part.base.experiment, search.space) or {}
        found[part.base.name] = Trial("base", fraction, seed, part.overrides, part.fold, known, tested=False)
        for proposal in _counted(search, part):
            name = proposal.user_attrs.get(RUN, f"{part.name}-{proposal.number}")
            values = _values(search, proposal)
            found[name] = Trial("search", fraction, seed, part.overrides, part.fold, values, tested=False, ended=_ended(proposal))
        if over:
            found |= {planned.name: trial for planned, trial in _finals(search, part)}
    return found


def write_best(search: Search) -> None:
    """Write the chosen settings as configs that `medtl train` takes: `best.yaml`, or one for each fold."""
    for part in search.parts:
        if _over(search, part):
            values = _best(search, part)
            best = part.base if values is None else search.site.resolved((*part.overrides, *overrides_of(values)))
            file = search.site.folder / ("best.yaml" if part.fold is None else f"best-{part.fold}.yaml")
            save_experiment(best.experiment, file)
            search.site.line.keep(f"best settings: {file}   (medtl train {file} --data {search.site.root})")


def _search(search: Search, part: Part) -> None:
    """Take up one trial after the other, until there is none left for this worker or the time is over."""
    while not search.site.over:
        with ExitStack() as held:
            with claimed(search.site.claim("search"), wait=True):
                taken = _take(search, part, held)
            if taken is None:
                return
            _train(search, part, *taken)
        study_results.write_table(trials(search), search.site.folder)


def _take(search: Search, part: Part, held: ExitStack) -> tuple[Planned, optuna.Trial | None] | None:
    """The next trial of this worker, its claim `held`: the base, one that a dead worker left, or a new proposal."""
    site, memory = search.site, search.memory(part)
    place, failed = site.place(part.base.name), site.failed(part.base.name)
    if finished(place):
        _remember_base(search, part, memory)
    elif not (failed.exists() and failed.stat().st_mtime > site.started) and held.enter_context(claimed(site.claim(part.base.name))):
        site.line.keep("\nbase")
        return part.base, None
    for left in memory.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        name = left.user_attrs.get(RUN)
        if name is None:  # whoever asked for it died before it was anything
            _void(memory, optuna.Trial(memory, left._trial_id), "its worker ended before it began")
        elif held.enter_context(claimed(site.claim(name))):
            if memory.get_trials(deepcopy=False)[left.number].state.is_finished():  # a moment ago
                continue
            site.line.keep(f"\ntrial goes on: {_said(_values(search, left))}")
            planned = site.resolved((*part.overrides, *overrides_of(_values(search, left))))
            return planned, optuna.Trial(memory, left._trial_id)
    return _propose(search, part, memory, held)


def _propose(search: Search, part: Part, memory: optuna.Study, held: ExitStack) -> tuple[Planned, optuna.Trial] | None:
    """A proposal that nobody has trained; None where the budget or the space is spent. Impossible ones count as failed."""
    site, repeated = search.site, 0
    tried = [_values(search, each) for each in _counted(search, part)]
    distributions = {each.key: each.distribution() for each in search.space}
    while not _spent(search, part, memory):
        if repeated == GUIDED + BLIND:
            memory.set_user_attr("exhausted", True)
            return None
        chance = np.random.SeedSequence((site.study.seeds[0], part.fold or 0, len(memory.get_trials(deepcopy=False))))
        memory.sampler = journal.sampler(int(chance.generate_state(1)[0]), search.settings.trials, blind=repeated >= GUIDED)
        trial = memory.ask(distributions)
        values = _values(search, trial)
        if values in tried:
            _void(memory, trial, "was tried before")
            repeated += 1
            continue
        try:
            planned = site.resolved((*part.overrides, *overrides_of(values)))
        except MedtlError as refusal:
            _fail(search, memory, trial, refusal)
            tried.append(values)
            continue
        known = {each.user_attrs.get(RUN) for each in memory.get_trials(deepcopy=False)}
        if planned.name in {*known, part.base.name}:
            _void(memory, trial, "is what was tried before, in other words")
            repeated += 1
            continue
        held.enter_context(claimed(site.claim(planned.name)))
        trial.set_user_attr(RUN, planned.name)
        site.line.keep(f"\ntrial {len(_counted(search, part)) + 1} of {search.settings.trials}: {_said(values)}")
        return planned, trial
    return None


def _train(search: Search, part: Part, planned: Planned, trial: optuna.Trial | None) -> None:
    """Train one trial and tell what came of it."""
    site, memory = search.site, search.memory(part)
    try:
        if trial is None:
            train_trial(site, planned)
        else:
            train_trial(site, planned, watch=Pruning(trial, planned.experiment, part.steps))
    except Pruned as pruned:
        assert trial is not None
        memory.tell(trial, state=TrialState.PRUNED)
        site.line.keep(f"pruned: {pruned}")
        for checkpoints in [*site.place(planned.name).rglob("checkpoints")]:
            shutil.rmtree(checkpoints)
    except MedtlError as refusal:
        if trial is None:
            write_failure(site, planned.name, refusal)
        else:
            _fail(search, memory, trial, refusal)
    else:
        if trial is not None:
            memory.tell(trial, study_results.reached(load_run(site.place(planned.name))))


def _remember_base(search: Search, part: Part, memory: optuna.Study) -> None:
    """The base, once trained, is the first of the trials that the sampler learns from, if it lies in the space."""
    values = values_in(part.base.experiment, search.space)
    known = {each.user_attrs.get(RUN) for each in memory.get_trials(deepcopy=False)}
    if values is None or part.base.name in known:
        return
    memory.add_trial(
        optuna.create_trial(
            value=study_results.reached(load_run(search.site.place(part.base.name))),
            params={each.key: each.parameter(values[each.key]) for each in search.space},
            distributions={each.key: each.distribution() for each in search.space},
            user_attrs={RUN: part.base.name},
        )
    )


def _counted(search: Search, part: Part) -> list[FrozenTrial]:
    """The proposals that are part of the budget, besides the base."""
    every = search.memory(part).get_trials(deepcopy=False)
    return [each for each in every if VOID not in each.user_attrs and each.user_attrs.get(RUN) != part.base.name]


def _spent(search: Search, part: Part, memory: optuna.Study) -> bool:
    return len(_counted(search, part)) + 1 >= search.settings.trials or "exhausted" in memory.user_attrs


def _over(search: Search, part: Part) -> bool:
    """Whether all of a part's trials have ended."""
    waiting = any(not each.state.is_finished() for each in _counted(search, part))
    base = finished(search.site.place(part.base.name)) or search.site.failed(part.base.name).exists()
    return base and not waiting and _spent(search, part, search.memory(part))


def _best(search: Search, part: Part) -> Mapping[str, Any] | None:
    """The settings with the best validation score; None where that is the base, which also wins a tie."""
    place = search.site.place(part.base.name)
    score, found = study_results.reached(load_run(place)) if finished(place) else -float("inf"), None
    for each in _counted(search, part):
        if each.state == TrialState.COMPLETE and each.value is not None and each.value > score:
            score, found = each.value, _values(search, each)
    return found


def _finals(search: Search, part: Part) -> Iterator[tuple[Planned, Trial]]:
    """What is judged on test: the base and the best, trained with every seed."""
    study, best = search.site.study, _best(search, part)
    known = values_in(part.base.experiment, search.space) or {}
    for seed in study.seeds:
        for arm, values in (("base", None), ("best", best)):
            if arm == "base" or values is not None:
                overrides = (*part.overrides, *overrides_of(values or {}), f"seed={seed}")
                shown = known if values is None else values
                yield search.site.resolved(overrides), Trial(arm, study.fractions[0], seed, overrides, part.fold, shown)


def _values(search: Search, trial: FrozenTrial | optuna.Trial) -> dict[str, Any]:
    return {each.key: each.value(trial.params[each.key]) for each in search.space if each.key in trial.params}


def _ended(trial: FrozenTrial) -> Ended | None:
    if trial.state == TrialState.FAIL:
        return Ended(FAILED, trial.user_attrs.get(REASON, ""))
    return Ended(PRUNED, "", trial.value) if trial.state == TrialState.PRUNED else None


def _fail(search: Search, memory: optuna.Study, trial: optuna.Trial, refusal: MedtlError) -> None:
    trial.set_user_attr(REASON, str(refusal))
    memory.tell(trial, state=TrialState.FAIL)
    search.site.line.keep(f"this trial failed: {refusal}")


def _void(memory: optuna.Study, trial: optuna.Trial, why: str) -> None:
    """A proposal that is no trial: it teaches nothing and costs nothing."""
    trial.set_user_attr(VOID, why)
    memory.tell(trial, state=TrialState.FAIL)


def _said(values: Mapping[str, Any]) -> str:
    return ", ".join(overrides_of(values))
