"""Two models on the same images: the difference of a figure, with an interval that knows they are the same images."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.contracts import Task
from medtl.errors import MedtlError
from medtl.evaluation import confusion, intervals, ranking
from medtl.evaluation.cases import Cases, Findings, questions
from medtl.evaluation.resampling import RESAMPLES, Resampled, resample
from medtl.records import KEY

Figure = Literal["auroc", "auprc", "macro_f1", "balanced_accuracy"]
_Measure = Figure | Literal["f1"]
"""`f1`: of a finding's presence."""


def difference(
    one: pd.DataFrame, other: pd.DataFrame, task: Task, figure: Figure = "auroc", seed: int = 0, resamples: int = RESAMPLES
) -> dict[str, Any]:
    """`{"value", "low", "high"}` of `one` minus `other`: above 0, `one` is the better.

    Two predictions tables of one split each; of several findings per image, the difference of the means over those of which both sides are
    known (`macro_f1`: the F1 of presence, as in metrics.json). The 95 % interval is a paired bootstrap: both models are resampled by the
    same draws of groups (patients), so what makes an image hard for both cancels out. Raises MedtlError where images, truths or groups
    differ.
    """
    (first, own), (second, others) = (questions(_in_order(table), task) for table in (one, other))
    refuse_other_images(one, other, first, second)
    if task.kind == "multi":
        own, others = _of_both_sides(own, others)
    groups = len(np.unique(first.groups))
    if groups < 2:
        raise MedtlError("a difference needs images of at least two groups (patients)")
    measure: _Measure = "f1" if task.kind == "multi" and figure == "macro_f1" else figure
    values = [np.mean([_value(cases, measure) for cases in each]) for each in (own, others)]
    drawn = [np.column_stack([_drawn(resample(cases, seed, resamples), measure) for cases in each]) for each in (own, others)]
    defined = np.isfinite(drawn[0]).any(axis=1) & np.isfinite(drawn[1]).any(axis=1)
    gaps = np.nanmean(drawn[0][defined], axis=1) - np.nanmean(drawn[1][defined], axis=1)
    interval = intervals.percentiles(gaps, groups)
    value = float(values[0] - values[1])
    return {"value": value, "low": min(interval.low, value), "high": max(interval.high, value)}


def _of_both_sides(one: list[Cases], other: list[Cases]) -> tuple[list[Cases], list[Cases]]:
    """The findings with which, and without which, both models could read an image."""
    both = [pair for pair in zip(one, other, strict=True) if all(len(np.unique(cases.truth[cases.read])) == 2 for cases in pair)]
    if not both:
        raise MedtlError("a difference needs images with and without a finding")
    return [pair[0] for pair in both], [pair[1] for pair in both]


def _drawn(found: Resampled, measure: _Measure) -> NDArray[np.float64]:
    """(R,) or (R, J) of each resample."""
    values: NDArray[np.float64] = found.f1s[:, 1] if measure == "f1" else getattr(found, measure)
    return values


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
