"""What a model would do at other thresholds: rules fitted on its validation images, judged on the images that chose nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from medtl.contracts import VALIDATION, Task
from medtl.decisions import threshold
from medtl.document.table import flat
from medtl.errors import MedtlError
from medtl.evaluation.cases import from_table
from medtl.evaluation.figures import class_figures
from medtl.flows.run import Run, load_run
from medtl.registry import Settings, parse_choice
from medtl.report.judged import judged

RULES: tuple[str | Mapping[str, Any], ...] = (
    "youden",
    {"name": "sensitivity", "at_least": 0.95},
    {"name": "specificity", "at_least": 0.95},
)


def operating_points(run: Run | Path | str, rules: Sequence[str | Mapping[str, Any]] = RULES, split: str | None = None) -> pd.DataFrame:
    """A row per rule: `threshold`, whether validation `reached` what it asks for, and `sensitivity`, `specificity`, `ppv`, `npv`, each
    with `_low` and `_high` (95 %, by group) and `_reason`.

    rules: as `decision.threshold` of a config takes them, `"youden"` or `{"name": "sensitivity", "at_least": 0.95}`. split: what they are
    judged on, by default the weightiest that was judged; on `validation`, which chose them, they look too good. PPV and NPV hold at that
    split's prevalence. Raises MedtlError for a task without a positive class, for a rule that there is not, and over folds, whose
    probabilities have a scale each.
    """
    run = run if isinstance(run, Run) else load_run(run)
    task = run.experiment.task
    if task.positive_index is None:
        raise MedtlError(f"{run.folder}: has no positive class, so no threshold; operating points are of tasks of two classes")
    if run.folds():
        raise MedtlError(f"{run.folder}: its folds are models of their own, with a threshold each; give one of them: {run.folder}/folds/0")
    chosen_on, judged_on = judged(run.predictions(), VALIDATION), judged(run.predictions(), split)
    column, positive = f"p_{task.names[task.positive_index]}", task.names[task.positive_index]
    rows = {}
    for rule in (_settings(rule) for rule in rules):
        cut = threshold.fit(chosen_on[column].to_numpy(float), (chosen_on["truth"] == positive).to_numpy(), rule)
        rows[threshold.said(rule)] = {"threshold": cut.value, "reached": cut.reached, **_figures(judged_on, task, cut.value)}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("rule")


def _settings(rule: str | Mapping[str, Any]) -> Settings:
    try:
        found = parse_choice(threshold.RULES, dict(rule) if isinstance(rule, Mapping) else rule)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(key) for key in first["loc"])
        raise MedtlError(f"rule {rule}: {f'{where}: ' if where else ''}{first['msg']}") from None
    except ValueError as error:
        raise MedtlError(f"rule {rule}: {error}") from None
    assert isinstance(found, Settings)
    return found


def _figures(rows: pd.DataFrame, task: Task, cut: float) -> dict[str, Any]:
    """What the rows' answers are worth at another threshold; an unread image stays unread, and counts as missed."""
    index = task.positive_index
    assert index is not None
    called = threshold.decide(rows[[f"p_{name}" for name in task.names]].to_numpy(float), index, cut)
    names = np.array([*task.names, ""])  # the last one: unread
    cases = from_table(rows.assign(predicted=names[called]), task)
    yes, no = class_figures(cases, index), class_figures(cases, 1 - index)
    return flat({"sensitivity": yes["recall"], "specificity": no["recall"], "ppv": yes["precision"], "npv": no["precision"]})
