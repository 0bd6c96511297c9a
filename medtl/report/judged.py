"""The rows of a predictions table that a figure or table of a report is about: one split, plain views, known truth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from medtl.contracts import EXTERNAL, TEST, VALIDATION, Task
from medtl.errors import MedtlError, listed
from medtl.evaluation.cases import Cases, each_member, findings_from_table, from_table
from medtl.predictions import PLAIN

BY_WEIGHT = (EXTERNAL, TEST, VALIDATION)
"""Splits that say something about images the model did not learn from, the weightiest first."""


def judged_splits(metrics: Mapping[str, Any]) -> list[str]:
    """The splits of a metrics.json that hold images, the weightiest first. Raises MedtlError where none does."""
    found = [split for split in BY_WEIGHT if metrics["splits"].get(split, {}).get("n")]
    if not found:
        raise MedtlError("nothing was judged yet, so there is nothing to report")
    return found


def judged(predictions: pd.DataFrame, split: str | None = None) -> pd.DataFrame:
    """The judged images of one split, as cases that :func:`medtl.evaluation.cases.from_table` takes.

    `split`: by default the weightiest there is (external, then test, then validation); never several at once, for they are different
    questions. Over folds, an image that several folds' models judged is a case of its own for each, within its group.
    Raises MedtlError where the split has no judged image.
    """
    known = predictions[(predictions["view"] == PLAIN) & (predictions["truth"] != "")]
    there = [name for name in BY_WEIGHT if (known["split"] == name).any()]
    chosen = split or (there[0] if there else "")
    rows = known[known["split"] == chosen]
    if rows.empty:
        raise MedtlError(f"the predictions hold no judged image of the split '{chosen}'; there are: {listed(there) or 'none'}")
    if (rows["member"] == "").any():
        return rows[rows["member"] == ""]
    return each_member(rows)


def sides_of(predictions: pd.DataFrame, task: Task, split: str | None = None) -> tuple[list[Cases], str]:
    """As :func:`cases_of`; where an image may have several findings, each of them as cases of two classes."""
    if task.kind == "single":
        cases, said = cases_of(predictions, task, split)
        return [cases], said
    rows = judged(predictions, split)
    together = findings_from_table(rows, task)
    return [together.one(index) for index in range(len(task.names))], _said(rows)


def cases_of(predictions: pd.DataFrame, task: Task, split: str | None = None) -> tuple[Cases, str]:
    """:func:`judged` as arrays, and the split's name as a caption says it: `test, 489 images`."""
    rows = judged(predictions, split)
    return from_table(rows, task), _said(rows)


def _said(rows: pd.DataFrame) -> str:
    return f"{rows['split'].iloc[0]}, {len(rows):,} images"
