"""A study's search at work: base first, then proposals, each a run that never opens its test images; at the end the base and the best do.

Optuna proposes and prunes, by validation alone. A worker takes its next trial while it holds the study's turn, so no two train the same;
what a killed worker left running is continued by the next that comes.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import numpy as np
import optuna
from optuna.trial import TrialState

from medtl.errors import MedtlError
from medtl.files import claimed
from medtl.flows import study_results
from medtl.flows.pruning import Pruned, Pruning
from medtl.flows.run import load_run
from medtl.flows.run_folder import drop_checkpoints, finished
from medtl.flows.search import EXHAUSTED, REASON, RUN, VOID, Part, Search, counted, finals, over, spent, trials, values_of
from medtl.flows.trials import Planned, run_all, train_trial, write_failure
from medtl.study import journal
from medtl.study.space import overrides_of, values_in

GUIDED, BLIND = 10, 40
"""Proposals in a row that may bring nothing new: by the sampler, then by chance. After that the space is taken for exhausted."""


def run(search: Search) -> None:
    """Search until the budget is spent; then, once nobody searches any more, retrain and judge the base and the best."""
    for part in search.parts:
        _search(search, part)
    if search.site.over:
        search.site.line.keep(f"{search.site.study.minutes:g} minutes are over; the same command goes on")
    elif all(over(search, part) for part in search.parts):
        everything = trials(search)
        run_all(search.site, everything, {planned.name: planned for part in search.parts for planned, _ in finals(search, part)})


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
            site.line.keep(f"\ntrial goes on: {_said(values_of(search, left))}")
            planned = site.resolved((*part.overrides, *overrides_of(values_of(search, left))))
            return planned, optuna.Trial(memory, left._trial_id)
    return _propose(search, part, memory, held)


def _propose(search: Search, part: Part, memory: optuna.Study, held: ExitStack) -> tuple[Planned, optuna.Trial] | None:
    """A proposal that nobody has trained; None where the budget or the space is spent. Impossible ones count as failed."""
    site, repeated = search.site, 0
    tried = [values_of(search, each) for each in counted(search, part)]
    distributions = {each.key: each.distribution() for each in search.space}
    while not spent(search, part, memory):
        if repeated == GUIDED + BLIND:
            memory.set_user_attr(EXHAUSTED, True)
            return None
        chance = np.random.SeedSequence((site.study.seeds[0], part.fold or 0, len(memory.get_trials(deepcopy=False))))
        memory.sampler = journal.sampler(int(chance.generate_state(1)[0]), search.settings.trials, blind=repeated >= GUIDED)
        trial = memory.ask(distributions)
        values = values_of(search, trial)
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
        site.line.keep(f"\ntrial {len(counted(search, part)) + 1} of {search.settings.trials}: {_said(values)}")
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
        drop_checkpoints(site.place(planned.name))
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
