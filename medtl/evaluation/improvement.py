"""Whether a changed model is better than the one before it on the same patients, by one figure that was named before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import pandas as pd

from medtl.contracts import Task
from medtl.errors import listed
from medtl.estimates import number
from medtl.evaluation.cases import patients, questions
from medtl.evaluation.noninferiority import FEWEST, Verdict
from medtl.evaluation.paired import Figure, difference

Improves = Literal["auroc", "macro-recall"]
_FIGURES: dict[Improves, Figure] = {"auroc": "auroc", "macro-recall": "balanced_accuracy"}


def improved(new: pd.DataFrame, old: pd.DataFrame, task: Task, by: Improves = "auroc", seed: int = 0) -> Verdict:
    """Predictions of the same images → whether the lower bound of the paired bootstrap by group (95 %, two-sided) of (new - old) exceeds 0.

    by: `auroc` (of several classes the mean of one against the rest, of findings their mean), or `macro-recall`, which a better threshold
    raises too. Not shown where a class (of a finding, the images with or without it) has fewer than :data:`FEWEST` groups (patients).
    Raises MedtlError where images, truths or groups differ.
    """
    reason = too_few(patients(questions(new, task)[1]))
    if reason:
        return Verdict(False, reason, {"value": None, "reason": reason})
    found = difference(new, old, task, _FIGURES[by], seed)
    shown = found["low"] > 0
    interval = f"{number(found['value'])} [{number(found['low'])}, {number(found['high'])}]"
    reason = f"{by} after - before is {interval} on new patients; its lower bound {'exceeds' if shown else 'does not exceed'} 0"
    return Verdict(shown, reason, found)


def too_few(patients: Mapping[str, int]) -> str:
    """Why so many patients of each class can show nothing; empty where they can."""
    few = [f"{name} {count}" for name, count in patients.items() if count < FEWEST]
    what = "too few new patients held out to show an improvement"
    return f"{what}: {listed(few)}; {FEWEST} of every class are needed" if few else ""
