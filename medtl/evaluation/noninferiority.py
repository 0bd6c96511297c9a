"""Whether one model is not worse than another on the same patients, by a margin that was set before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from medtl.contracts import Task
from medtl.errors import listed
from medtl.estimates import number
from medtl.evaluation.cases import patients, questions
from medtl.evaluation.extreme_areas import lower_end
from medtl.evaluation.paired import difference

FEWEST = 10
"""Groups (patients) of every class, below which nothing is judged; so few hardly show a small margin either."""


@dataclass(frozen=True)
class Verdict:
    """What was found of (one - other)."""

    shown: bool
    """Whether it is shown that `one` is not worse."""
    reason: str
    difference: dict[str, Any]
    """AUROC of one minus other: `{"value", "low", "high"}`, or `{"value": null, "reason"}`."""


def not_worse(one: pd.DataFrame, other: pd.DataFrame, task: Task, margin: float, seed: int = 0) -> Verdict:
    """Predictions of the same images → whether the lower bound of the paired bootstrap by group (95 %, two-sided) exceeds `-margin`.

    Where an area is near 1, no bound above that of :func:`medtl.evaluation.extreme_areas.lower_end` counts.
    """
    own, others = (questions(table, task)[1] for table in (one, other))
    few = [f"{name} {count}" for name, count in patients(own).items() if count < FEWEST]
    if few:
        return _not_judged(f"too few labelled target patients to show anything: {listed(few)}; {FEWEST} of every class are needed")
    found = difference(one, other, task, "auroc", seed)
    least = lower_end(own, others)
    if least is not None:
        found["low"] = min(found["low"], least)
    shown = found["low"] > -margin
    interval = f"{number(found['value'])} [{number(found['low'])}, {number(found['high'])}]"
    reason = f"AUROC adapted - source-only is {interval}; its lower bound {'exceeds' if shown else 'does not exceed'} {number(-margin)}"
    return Verdict(shown, reason, found)


def _not_judged(reason: str) -> Verdict:
    return Verdict(False, reason, {"value": None, "reason": reason})
