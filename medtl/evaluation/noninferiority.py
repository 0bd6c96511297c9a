"""Whether one model is not worse than another on the same patients, by a margin that was set before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from medtl.contracts import Task
from medtl.errors import listed
from medtl.estimates import number
from medtl.evaluation.cases import patients, questions
from medtl.evaluation.paired import difference

FEWEST = 10
"""Groups (patients) of every class: with fewer, two models that both happen to err nowhere would show no difference, and prove nothing."""


@dataclass(frozen=True)
class Verdict:
    """What was found of (one - other)."""

    shown: bool
    """Whether it is shown that `one` is not worse."""
    reason: str
    difference: dict[str, Any]
    """AUROC of one minus other: `{"value", "low", "high"}`, or `{"value": null, "reason"}`."""


def not_worse(one: pd.DataFrame, other: pd.DataFrame, task: Task, margin: float, seed: int = 0) -> Verdict:
    """Predictions of the same images → whether the lower bound of the paired bootstrap by group (95 %, two-sided) exceeds `-margin`."""
    few = [f"{name} {count}" for name, count in patients(questions(one, task)[1]).items() if count < FEWEST]
    if few:
        return _not_judged(f"too few labelled target patients to show anything: {listed(few)}; {FEWEST} of every class are needed")
    found = difference(one, other, task, "auroc", seed)
    shown = found["low"] > -margin
    interval = f"{number(found['value'])} [{number(found['low'])}, {number(found['high'])}]"
    reason = f"AUROC adapted - source-only is {interval}; its lower bound {'exceeds' if shown else 'does not exceed'} {number(-margin)}"
    return Verdict(shown, reason, found)


def _not_judged(reason: str) -> Verdict:
    return Verdict(False, reason, {"value": None, "reason": reason})
