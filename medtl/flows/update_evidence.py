"""What speaks for and against an updated model: recalls on the reference, improvement on new patients held out, both beside the old one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from medtl import findings
from medtl.contracts import EXTERNAL, TEST, TRAIN, VALIDATION, Task
from medtl.errors import listed
from medtl.estimates import percent
from medtl.evaluation import improvement, retention
from medtl.evaluation.answering import judge_split
from medtl.evaluation.contradiction import believable
from medtl.evaluation.intervals import independent_at_least
from medtl.evaluation.noninferiority import Verdict
from medtl.flows.judging import judge
from medtl.flows.update_sets import REFERENCE, Sets
from medtl.flows.update_settings import UpdateSettings
from medtl.model.model import Model
from medtl.predictions import NO_ANSWER
from medtl.terminal import Line

HELD_OUT = "new, held out"
_SETS = {EXTERNAL: REFERENCE, TEST: HELD_OUT}
"""Split → what it is called in `update.json`."""


@dataclass(frozen=True)
class Evidence:
    """Whether the update is released, why (not), and on which figures."""

    released: bool
    reason: str
    figures: Mapping[str, Any]


def too_few(sets: Sets, task: Task, settings: UpdateSettings) -> str:
    """Why no training could show enough, before it is begun; empty where one could."""
    groups = {split: _groups_of(sets.rows[sets.rows["split"] == split], task) for split in (*_SETS, TRAIN, VALIDATION)}
    reference = {name: independent_at_least(own) if len(own) else 0.0 for name, own in groups[EXTERNAL].items()}
    held_out = {name: own.nunique() for name, own in groups[TEST].items()}
    absent = [f"{name} in {split}" for split in (TRAIN, VALIDATION) for name, own in groups[split].items() if not len(own)]
    none = f"no image is left to train or choose by: {listed(absent)}; bring more new patients" if absent else ""
    return ". ".join(filter(None, [retention.too_few(reference, settings.margin), improvement.too_few(held_out), none]))


def _groups_of(rows: pd.DataFrame, task: Task) -> dict[str, pd.Series[str]]:
    """Class → the groups of its images; of findings, of those without and with each, as :func:`medtl.evaluation.cases.patients`."""
    return {name: rows.loc[side, "group_id"] for name, side in findings.sides(rows, task).items()}


def answers(model: Model, sets: Sets, what: str, line: Line) -> pd.DataFrame:
    """Predictions of what judges: the reference, and the new patients held out."""
    positions = sets.rows.index[sets.rows["split"].isin(_SETS)].to_numpy()
    return judge(model, sets.rows.iloc[positions], sets.store, positions, line.progress(what))


def weighed(before: pd.DataFrame, after: pd.DataFrame, task: Task, settings: UpdateSettings) -> Evidence:
    """Both models' predictions of the same images → release, or not."""
    old, new = ({split: table[table["split"] == split] for split in _SETS} for table in (before, after))
    kept = retention.retained(new[EXTERNAL], old[EXTERNAL], task, settings.margin)
    better = improvement.improved(new[TEST], old[TEST], task, settings.improves, settings.seed)
    labels = believable(new[TEST], new[EXTERNAL], task, settings.contradicted)
    figures = {
        "reference": {"margin": settings.margin, "shown": kept.shown, "reason": kept.reason, "recall": kept.per_class},
        "improvement": {"by": settings.improves, "shown": better.shown, "reason": better.reason, "difference": better.difference},
        "labels": {"most": settings.contradicted, "shown": labels.shown, "reason": labels.reason, "contradicted_more": labels.difference},
        "figures": {
            name: {when: _figures(tables[split], task) for when, tables in (("before", old), ("after", new))}
            for split, name in _SETS.items()
        },
    }
    return Evidence(kept.shown and better.shown and labels.shown, _together((kept, better, labels)), figures)


def answered(figures: Mapping[str, Any]) -> str:
    """How many images of either set get an answer, before and after: a gate fitted anew may refuse a whole hospital, which no recall shows.

    `figures`: of `update.json`.
    """
    each = [f"{name} {percent(own['before']['answered'])}, then {percent(own['after']['answered'])}" for name, own in figures.items()]
    return f"answered (the others: unlike its images, or too poor): {'; '.join(each)}"


def _together(judged: Sequence[retention.Retention | Verdict]) -> str:
    """Why (not): what is not shown first, then what is."""
    lacking, shown = ([each.reason for each in judged if each.shown == yes] for yes in (False, True))
    if not lacking:
        return "; ".join(shown)
    return ". ".join([*lacking, *([f"Shown is: {'; '.join(shown)}"] if shown else [])])


def _figures(table: pd.DataFrame, task: Task) -> dict[str, Any]:
    judged = judge_split(table, task)
    answered = float((table["decision"] != NO_ANSWER).mean())
    return {"auroc": judged["auroc"], "macro_recall": judged["balanced_accuracy"], "answered": answered}
