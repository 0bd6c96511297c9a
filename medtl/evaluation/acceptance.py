"""What a model must show before it is used, stated before anyone has looked: each line met, not met, or not decided by so few cases.

A line is met where the 95 % interval's nearer end keeps it, so that chance does not decide; not met where the figure itself does not. In
between stand too few cases, and how many times as many it would take if the figure stays.

No answer is no hit: all who came are judged, so what is held back cannot help to meet a line. Where some got no answer, the figure of those
answered stands beside, and decides nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import pandas as pd
from pydantic import Field, model_validator

from medtl.contracts import Task
from medtl.errors import MedtlError, did_you_mean
from medtl.estimates import number, percent
from medtl.evaluation.answering import answered_only, summarize_all_comers, unanswered
from medtl.evaluation.figures import Estimate, without
from medtl.evaluation.needed import cases_for_auroc, cases_for_share, share_cases
from medtl.evaluation.table import estimate as written
from medtl.registry import Settings

MET, NOT_MET, TOO_FEW = "met", "not met", "too few cases"
STATES = (NOT_MET, TOO_FEW, MET)
"""The gravest first: of several subgroups it decides."""
SIDES = {"sensitivity": "recall", "specificity": "specificity", "ppv": "precision", "npv": "npv"}
"""Of two classes, the positive one's."""
SHARES = ("accuracy", "recall", "precision", "specificity", "npv", "unanswered")
COUNTED = (
    "Some images got no answer. No answer is no hit: every line is judged on all who came, and the figure of those answered beside it "
    "decides nothing. AUROC, Brier score, ECE and what else needs a probability are of every image read, had its answer been given."
)
"""What has to be said beside lines that were judged where some got no answer."""
FEWEST = 10
"""Groups of a subgroup below which it decides nothing."""
Share = Annotated[float, Field(ge=0, le=1)]


class Criterion(Settings):
    """One line."""

    figure: str
    """`sensitivity`, `specificity`, `ppv`, `npv` of two classes; `recall`, `precision`, `f1` … with `of`; `auroc`, `macro_f1`, `ece` …;
    `unanswered`: the share without an answer."""
    of: str | None = None
    """A class."""
    at_least: Share | None = None
    """The interval's lower end."""
    at_most: Share | None = None
    """The interval's upper end."""
    worst: str | None = None
    """A column that records keep (`site`, `sex` …), or `domain`: every part of it has to keep the line."""
    expected: Share | None = None
    """What you expect to find: says how many cases to gather."""

    @model_validator(mode="after")
    def _one_side(self) -> Criterion:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("needs `at_least` or `at_most`, one of them")
        return self

    def __str__(self) -> str:
        side = f"at least {self.at_least:g}" if self.at_least is not None else f"at most {self.at_most:g}"
        return f"{self.figure}{f' of {self.of}' if self.of else ''} {side}{f' in every {self.worst}' if self.worst else ''}"


class Acceptance(Settings):
    """A file of its own."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    criteria: Annotated[tuple[Criterion, ...], Field(min_length=1)]
    """All have to be met."""


@dataclass(frozen=True)
class Outcome:
    """What became of one line."""

    criterion: Criterion
    state: str
    found: Estimate
    """Of all who came."""
    text: str
    answered_only: Estimate | None = None
    """The same of those answered; None where all were, or where it says nothing (`unanswered`, too few groups)."""

    def __str__(self) -> str:
        return f"{self.state}: {self.criterion}: {self.text}"


def judge(acceptance: Acceptance, rows: pd.DataFrame, task: Task) -> list[Outcome]:
    """`rows`: judged predictions of one split, with the columns that `worst` names; MedtlError where one is absent."""
    entries = _entries(rows, task)
    return [_outcome(criterion, rows, entries, task) for criterion in acceptance.criteria]


def plan(acceptance: Acceptance) -> Iterator[str]:
    """How many independent cases (patients) each line takes: without a single miss, and with what is expected."""
    for criterion in acceptance.criteria:
        bound = criterion.at_least if criterion.at_least is not None else 1 - (criterion.at_most or 0.0)
        figure = SIDES.get(criterion.figure, criterion.figure)
        if figure not in (*SHARES, "auroc") or bound >= 1:
            yield f"{criterion}: cannot be planned; only shares and AUROC can, below 1"
            continue
        needed = cases_for_auroc if figure == "auroc" else cases_for_share
        each = " on either side" if figure == "auroc" else ""
        said = f"{criterion}: at least {needed(1.0, bound):,} cases{each}, without a single {'error' if each else 'miss'}"
        if criterion.expected is not None:
            expected = criterion.expected if criterion.at_least is not None else 1 - criterion.expected
            said += (
                f"; {needed(expected, bound):,} if it is {criterion.expected:g}"
                if expected > bound
                else "; what is expected does not keep it"
            )
        yield said


_Entries = tuple[Mapping[str, Any], Mapping[str, Any] | None]
"""Of all who came, and of those answered; None where all were."""


def _entries(rows: pd.DataFrame, task: Task) -> _Entries:
    return {**summarize_all_comers(rows, task), "unanswered": unanswered(rows)}, answered_only(rows, task)


def _outcome(criterion: Criterion, rows: pd.DataFrame, entries: _Entries, task: Task) -> Outcome:
    if criterion.worst is None:
        return _judged(criterion, entries, task)
    if criterion.worst not in rows.columns:
        raise MedtlError(f"{criterion}: no image has a column '{criterion.worst}'; let the config keep it: `keep: [{criterion.worst}]`")
    parts = [(str(level) or "not known", own) for level, own in rows.groupby(criterion.worst, dropna=False)]
    outcomes = [_part(criterion, level, own, task) for level, own in parts]
    return min(outcomes, key=lambda outcome: (STATES.index(outcome.state), _distance(criterion, outcome.found)))


def _part(criterion: Criterion, level: str, rows: pd.DataFrame, task: Task) -> Outcome:
    groups = rows["group_id"].nunique()
    if groups < FEWEST:
        return Outcome(criterion, TOO_FEW, without("few groups"), f"{level}: {groups} groups, fewer than {FEWEST}")
    outcome = _judged(criterion, _entries(rows, task), task)
    return replace(outcome, text=f"{level}: {outcome.text}")


def _judged(criterion: Criterion, entries: _Entries, task: Task) -> Outcome:
    comers, answered = entries
    found = _found(criterion, comers, task)
    state, text = _state(criterion, found)
    if answered is None or criterion.figure == "unanswered":
        return Outcome(criterion, state, found, text)
    only = _found(criterion, answered, task)
    share = percent(answered["n"] / comers["n"])
    return Outcome(criterion, state, found, f"{text}; of those answered ({share}): {written(only)}", only)


def _distance(criterion: Criterion, found: Estimate) -> float:
    """Smaller is worse."""
    value = found["value"]
    return math.inf if value is None else value if criterion.at_least is not None else -value


def _found(criterion: Criterion, entry: Mapping[str, Any], task: Task) -> Estimate:
    """The figure with its interval."""
    if criterion.figure == "unanswered":
        return dict(entry["unanswered"])
    figure, of = criterion.figure, criterion.of
    if figure in SIDES and of is None:
        if task.positive_index is None:
            raise MedtlError(f"{criterion}: is of two classes; name the class with `of`, such as {{figure: recall, of: {task.names[0]}}}")
        figure, of = SIDES[figure], task.names[task.positive_index]
    if of is not None and of not in entry["per_class"]:
        raise MedtlError(f"{criterion}: no class '{of}'{did_you_mean(of, task.names)}; there are: {', '.join(task.names)}")
    among = entry["per_class"][of] if of is not None else entry
    known = [name for name, each in among.items() if isinstance(each, dict) and "value" in each]
    if figure not in known:
        further = [*known, *(() if of else SIDES)]
        raise MedtlError(f"{criterion}: no such figure{did_you_mean(figure, further)}; there are: {', '.join(further)}")
    return dict(among[figure])


def _state(criterion: Criterion, found: Estimate) -> tuple[str, str]:
    value, low, high = found["value"], found.get("low"), found.get("high")
    if value is None or low is None or high is None:
        return TOO_FEW, found.get("reason") or "no interval"
    text = f"{number(value)} [{number(low)}, {number(high)}]"
    upwards = criterion.at_least is not None
    bound = criterion.at_least if criterion.at_least is not None else float(criterion.at_most or 0.0)
    end = low if upwards else high
    if end >= bound if upwards else end <= bound:
        return MET, text
    if value <= bound if upwards else value >= bound:
        return NOT_MET, text
    times = _times(SIDES.get(criterion.figure, criterion.figure), value, end, bound)
    return TOO_FEW, f"{text}; {times:.1f} times as many cases would do, if {number(value)} stays"


def _times(figure: str, value: float, end: float, bound: float) -> float:
    """How many times as many cases bring the interval's end to the bound: a share's by Wilson, others' as the root of cases."""
    if figure in SHARES:
        up = value >= bound
        share, limit, reached = (value, bound, end) if up else (1 - value, 1 - bound, 1 - end)
        return cases_for_share(share, limit) / share_cases(share, reached)
    return ((value - end) / (value - bound)) ** 2


def all_met(outcomes: Sequence[Outcome]) -> bool:
    """Whether the model may be used, as far as these lines go."""
    return all(outcome.state == MET for outcome in outcomes)
