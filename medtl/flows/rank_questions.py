"""What the scored images are told apart by: the classes of the task, or one finding after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl import findings
from medtl.contracts import Task
from medtl.errors import MedtlError, listed
from medtl.evaluation import monitor
from medtl.flows.out_of_fold import PARTS
from medtl.training.fit import targets_of

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Question:
    """One task of classes; a finding is one of two, absent and present, on the images of which it is known."""

    finding: str
    """Empty where an image is of one class."""
    classes: int
    positive: int | None
    places: NDArray[np.int64]
    """(M,) of the images whose answer is known, among those scored."""
    targets: NDArray[np.int64]
    """(M,) 0 … classes - 1."""
    sides: tuple[int, ...] = ()
    """Groups without and with the finding."""

    def judged(self, watched: str, votes: Floats) -> float:
        """The monitored figure `watched` of (M, classes) shares of votes, as training watches it on validation."""
        logits = np.log(np.maximum(votes, 1e-12))
        if not self.finding:
            return monitor.score(watched, self.targets, logits, self.positive)
        return monitor.score(watched, self.targets[:, None].astype(np.float64), logits[:, 1:] - logits[:, :1])


def questions(rows: pd.DataFrame, positions: NDArray[np.int64], task: Task) -> list[Question]:
    """Of the labelled images at `positions` (N,) of the records. Findings that fewer than five groups have, or have not, are none.

    Raises MedtlError where no finding is left.
    """
    if task.kind == "single":
        targets = np.asarray(targets_of(rows.iloc[positions], task), np.int64)
        return [Question("", len(task.names), task.positive_index, np.arange(len(positions)), targets)]
    each = list(_each(rows, positions, task))
    asked = [question for question in each if min(question.sides) >= PARTS]
    if not asked:
        raise MedtlError(
            f"medtl rank needs a finding that at least {PARTS} groups (patients) have and {PARTS} have not, in train and validation; "
            f"there are: {listed([_said(question) for question in each], most=5)}"
        )
    return asked


def left_out(rows: pd.DataFrame, positions: NDArray[np.int64], asked: Sequence[Question], task: Task) -> list[str]:
    """A sentence about the findings that are not among `asked`, where there are any."""
    names = {question.finding for question in asked}
    others = [] if task.kind == "single" else [each for each in _each(rows, positions, task) if each.finding not in names]
    if not others:
        return []
    told = listed([_said(each) for each in others])
    few = f"fewer than {PARTS} groups have it or have it not"
    return [f"Left out of every score, for {few}: {told}. Training learns it all the same."]


def _each(rows: pd.DataFrame, positions: NDArray[np.int64], task: Task) -> Iterator[Question]:
    scored = rows.iloc[positions]
    groups = scored["group_id"].to_numpy()
    for name, known in zip(task.names, findings.numbers(scored, task.names).T, strict=True):
        places = np.flatnonzero(np.isfinite(known))
        sides = tuple(len(set(groups[known == side])) for side in (0, 1))
        yield Question(name, 2, 1, places, known[places].astype(np.int64), sides)


def _said(question: Question) -> str:
    without, having = question.sides
    return f"{question.finding} ({having:,} with it, {without:,} without)"
