"""Two models on the same images: the difference of a figure, with an interval that knows they are the same images."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.contracts import Task
from medtl.errors import MedtlError
from medtl.evaluation import confusion, intervals, ranking
from medtl.evaluation.cases import Cases, Findings, findings_from_table, from_table
from medtl.evaluation.resampling import RESAMPLES, Resampled, resample
from medtl.records import KEY

Figure = Literal["auroc", "auprc", "macro_f1", "balanced_accuracy"]
_Measure = Figure | Literal["f1"]
"""`f1`: of a finding's presence."""


def difference(
    one: pd.DataFrame, other: pd.DataFrame, task: Task, figure: Figure = "auroc", seed: int = 0, resamples: int = RESAMPLES
) -> dict[str, Any]:
    """`{"value", "low", "high"}` of `one` minus `other`: above 0, `one` is the better.

    Two predictions tables of one split each. The 95 % interval is a paired bootstrap: both models are resampled by the same draws of
    groups (patients), so what makes an image hard for both cancels out. Several findings per image: the mean over the findings of which
    both sides are known, each over its own images (`macro_f1`: of the finding's presence), with the same groups drawn for all of them.
    Raises MedtlError where images, truths or groups differ.
    """
    read = findings_from_table if task.kind == "multi" else from_table
    first, second = (read(_in_order(table), task) for table in (one, other))
    refuse_other_images(one, other, first, second)
    groups = len(np.unique(first.groups))
    if groups < 2:
        raise MedtlError("a difference needs images of at least two groups (patients)")
    measure: _Measure = "f1" if task.kind == "multi" and figure == "macro_f1" else figure
    parts = [_parts(told) for told in (first, second)]
    values = [np.mean([_value(cases, measure) for cases in own]) for own in parts]
    drawn = [np.column_stack([_drawn(resample(cases, seed, resamples), measure) for cases in own]) for own in parts]
    defined = np.isfinite(drawn[0]).any(axis=1) & np.isfinite(drawn[1]).any(axis=1)
    gaps = np.nanmean(drawn[0][defined], axis=1) - np.nanmean(drawn[1][defined], axis=1)
    interval = intervals.percentiles(gaps, groups)
    value = float(values[0] - values[1])
    return {"value": value, "low": min(interval.low, value), "high": max(interval.high, value)}


def _in_order(table: pd.DataFrame) -> pd.DataFrame:
    return table.sort_values(KEY, ignore_index=True)


def refuse_other_images(one: pd.DataFrame, other: pd.DataFrame, first: Cases | Findings, second: Cases | Findings) -> None:
    """Raises MedtlError where images, truths or groups of two tables differ. `first`, `second`: the same, sorted by key, as arrays."""
    keys = [set(zip(table["image"], table["frame"], strict=True)) for table in (one, other)]
    if keys[0] != keys[1]:
        alone = len(keys[0] ^ keys[1])
        raise MedtlError(
            f"the two tables hold other images ({alone:,} stand in one of them only); give predictions of one split of the same images"
        )
    if not np.array_equal(first.truth, second.truth, equal_nan=True) or not np.array_equal(first.groups, second.groups):
        raise MedtlError("the two tables tell different truths or groups of the same images; evaluate both runs on the same records")


def _parts(told: Cases | Findings) -> list[Cases]:
    """What is judged by itself: all the cases, or those of each finding of which both sides are known."""
    if isinstance(told, Cases):
        return [told]
    each = [told.one(index) for index in range(len(told.classes))]
    both = [cases for cases in each if len(np.unique(cases.truth)) == 2]
    if not both:
        raise MedtlError("a difference needs images with and without a finding")
    return both


def _drawn(found: Resampled, measure: _Measure) -> NDArray[np.float64]:
    """(R,) or (R, J) of each resample."""
    values: NDArray[np.float64] = found.f1s[:, 1] if measure == "f1" else getattr(found, measure)
    return values


def _value(cases: Cases, measure: _Measure) -> float:
    read = cases.read
    if measure in ("auroc", "auprc"):
        area = ranking.auroc if measure == "auroc" else ranking.auprc
        return area(cases.truth[read], cases.probabilities[read], cases.positive)
    table, unread = confusion.confusion(cases.truth, cases.predicted, len(cases.classes))
    if measure == "f1":
        return float(confusion.f1(table, unread)[1])
    share = confusion.f1 if measure == "macro_f1" else confusion.recall
    return float(confusion.macro(share(table, unread)))
