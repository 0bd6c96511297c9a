"""One answer per patient, lesion or study, out of the answers for its images: what a clinic counts.

The log-odds of a unit are the *mean* of its images', or the *max*: that of the image most suspicious. (log p, not the network's own logits,
for only these compare between images; the mean is the same with either.) Of several classes the max is each class's own. Images that could
not be read are left out; a unit without any that could is unread.

A unit's truth is its images'. Where these differ, of two classes the unit is positive, for that is what "the patient is ill" means, and
so it is with each finding of several; a unit of several classes that differ has no class, and is left out. Both are counted (`mixed`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.contracts import Task
from medtl.evaluation.probability import SMALLEST, log_odds
from medtl.findings import unknown_words, words
from medtl.predictions import UNKNOWN, probabilities, true_findings, true_positions

By = Literal["patient", "lesion", "study"]
Combine = Literal["mean", "max"]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Units:
    """U units in the order of their ids."""

    keys: pd.DataFrame
    """`image` (the unit's id), `frame` (0), `group_id`, `truth` (and `unknown`), as predictions have them."""
    logits: Floats
    """(U, K) log p, or log-odds of several findings; NaN where no image was read. Not calibrated: a max is too high."""
    truth: NDArray[np.int64] | Floats
    """(U,) positions, or (U, K) 1, 0, NaN = unknown."""
    mixed: int
    """Units whose images differ in truth."""


def by_unit(predictions: pd.DataFrame, ids: Sequence[str], task: Task, combine: Combine) -> Units:
    """N rows of a predictions table, all of known truth, each image once; `ids` (N,): whose each image is."""
    names, member = np.unique(np.asarray(ids, dtype=str), return_inverse=True)
    logits = _combined(_log_p(probabilities(predictions), task), member, len(names), task, combine)
    groups = pd.Series(predictions["group_id"].to_numpy()).groupby(member).agg(lambda each: each.iloc[0] if each.nunique() == 1 else "")
    keys = pd.DataFrame({"image": names, "frame": 0, "group_id": np.where(groups == "", names, groups)})
    if task.kind == "multi":
        present, mixed = _any_present(true_findings(predictions), member, len(names))
        keys = keys.assign(truth=words(present, task.names), **{UNKNOWN: unknown_words(present, task.names)})
        return Units(keys, logits, present, mixed)
    true = true_positions(predictions)
    counts = np.zeros((len(names), len(task.names)), dtype=np.int64)
    np.add.at(counts, (member, true), 1)
    differ = (counts > 0).sum(axis=1) > 1
    of_unit = counts.argmax(axis=1)
    if task.positive_index is not None:
        of_unit[differ] = task.positive_index
        whole = np.ones(len(names), dtype=bool)
    else:
        whole = ~differ
    keys["truth"] = np.array(task.names, dtype=object)[of_unit]
    return Units(keys[whole].reset_index(drop=True), logits[whole], of_unit[whole], int(differ.sum()))


def _log_p(p: Floats, task: Task) -> Floats:
    return log_odds(p) if task.kind == "multi" else np.asarray(np.log(np.clip(p, SMALLEST, 1)))


def _combined(log_p: Floats, member: NDArray[np.intp], units: int, task: Task, combine: Combine) -> Floats:
    """(N, K) → (U, K) over the images read."""
    read = np.isfinite(log_p).all(axis=1)
    given, of_unit = log_p[read], member[read]
    combined = np.full((units, log_p.shape[1]), np.nan)
    if combine == "max" and task.positive_index is not None:
        odds = given[:, task.positive_index] - given[:, 1 - task.positive_index]
        order = np.argsort(odds, kind="stable")  # the last one written is the largest
        combined[of_unit[order]] = given[order]
    elif combine == "max":
        there = np.full_like(combined, -np.inf)
        np.maximum.at(there, of_unit, given)
        combined = np.where(np.isfinite(there), there, np.nan)
    else:
        sums, counts = np.zeros_like(combined), np.bincount(of_unit, minlength=units)
        np.add.at(sums, of_unit, given)
        combined[counts > 0] = sums[counts > 0] / counts[counts > 0, None]
    return combined


def _any_present(truth: Floats, member: NDArray[np.intp], units: int) -> tuple[Floats, int]:
    """(N, K) → (U, K): present in an image, else unknown if unknown in one, else absent; and how many units differ in a finding."""
    seen = [np.zeros((units, truth.shape[1]), dtype=bool) for _ in range(3)]
    for there, what in zip(seen, (truth == 1, truth == 0, np.isnan(truth)), strict=True):
        np.logical_or.at(there, member, what)
    present, absent, unknown = seen
    found = np.where(present, 1.0, np.where(unknown, np.nan, 0.0))
    return found, int((present & absent).any(axis=1).sum())
