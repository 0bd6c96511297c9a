"""Two models on the same images: the difference of a figure, with an interval that knows they are the same images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.contracts import Task
from medtl.errors import MedtlError
from medtl.evaluation import confusion, intervals, ranking
from medtl.evaluation.cases import Cases, Findings, questions
from medtl.evaluation.resampling import RESAMPLES, resample
from medtl.records import KEY

Figure = Literal["auroc", "auprc", "macro_f1", "balanced_accuracy"]


def difference(
    one: pd.DataFrame, other: pd.DataFrame, task: Task, figure: Figure = "auroc", seed: int = 0, resamples: int = RESAMPLES
) -> dict[str, Any]:
    """`{"value", "low", "high"}` of `one` minus `other`: above 0, `one` is the better.

    Two predictions tables of one split each; of several findings per image, the difference of the means over them. The 95 % interval is a
    paired bootstrap: both models are resampled by the same draws of groups (patients), so what makes an image hard for both cancels out.
    Raises MedtlError where images, truths or groups differ.
    """
    (first, own), (second, others) = (questions(_in_order(table), task) for table in (one, other))
    refuse_other_images(one, other, first, second)
    groups = len(np.unique(first.groups))
    if groups < 2:
        raise MedtlError("a difference needs images of at least two groups (patients)")
    values = [np.nanmean([_value(cases, figure) for cases in each]) for each in (own, others)]
    drawn = [_drawn(each, figure, seed, resamples) for each in (own, others)]
    defined = np.isfinite(drawn[0]).any(axis=1) & np.isfinite(drawn[1]).any(axis=1)
    gaps = np.nanmean(drawn[0][defined], axis=1) - np.nanmean(drawn[1][defined], axis=1)
    interval = intervals.percentiles(gaps, groups)
    value = float(values[0] - values[1])
    return {"value": value, "low": min(interval.low, value), "high": max(interval.high, value)}


def _drawn(each: Sequence[Cases], figure: Figure, seed: int, resamples: int) -> NDArray[np.float64]:
    """(resamples, J) the figure of every class that is judged, or of every finding, on the same draws of groups."""
    return np.concatenate([getattr(resample(cases, seed, resamples), figure).reshape(resamples, -1) for cases in each], axis=1)


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


def _value(cases: Cases, figure: Figure) -> float:
    read = cases.read
    if figure in ("auroc", "auprc"):
        area = ranking.auroc if figure == "auroc" else ranking.auprc
        return area(cases.truth[read], cases.probabilities[read], cases.positive)
    table, unread = confusion.confusion(cases.truth, cases.predicted, len(cases.classes))
    share = confusion.f1 if figure == "macro_f1" else confusion.recall
    return float(confusion.macro(share(table, unread)))
