"""One entry of metrics.json where an image may have several findings: each is judged by itself, then their mean.

Same keys as for one class per image, with these meanings. `n`: images of which at least one finding is known. `per_class`: each finding
as a task of two classes over the images of which it is known (`known`; `support` of them have it), with `specificity`, `auroc`, `auprc`,
`brier` and `ece` of its own. `confusion`: finding → [[tn, fp], [fn, tp]]. `unread`: `{"images": …}`, images that could not be read; each
counts as missed in every finding that is known of it. `accuracy`: the share of images of which everything that is known is called right
(exact match). `balanced_accuracy`, `macro_f1`, `auroc`, `auprc`, `brier`, `ece`: means over the findings, with intervals of one bootstrap
of groups (patients) that all findings share, for findings of one patient are not independent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.contracts import Task, Threshold
from medtl.evaluation import confusion, intervals
from medtl.evaluation.cases import Cases, Findings, findings_from_table
from medtl.evaluation.figures import NO_CASES, ONE_GROUP, Estimate, class_figures, estimate, probability_figures, ranks, share_of, without
from medtl.evaluation.intervals import Interval
from medtl.evaluation.resampling import Resampled, resample

Floats = NDArray[np.float64]


def summarize_findings(predictions: pd.DataFrame, task: Task, seed: int, threshold: Threshold | None, resamples: int) -> dict[str, Any]:
    """The figures of the rows of one split; arguments as of :func:`medtl.evaluation.summary.summarize`."""
    together = findings_from_table(predictions, task)
    each = [together.one(index) for index in range(len(task.names))]
    draws = [resample(cases, seed, resamples) if cases.group_count > 1 else None for cases in each]
    per_class = {name: _figures(cases, drawn) for name, cases, drawn in zip(task.names, each, draws, strict=True)}
    groups = len(np.unique(together.groups))
    entry: dict[str, Any] = {"n": len(together.truth), "groups": groups, "answered": together.answered, "threshold": threshold}
    entry["accuracy"] = share_of(_all_right(together), np.ones(len(together.truth), dtype=bool), together.groups)
    for key, own, drawn in (
        ("balanced_accuracy", [_balanced(cases, figures) for cases, figures in zip(each, per_class.values(), strict=True)], _RECALLS),
        ("macro_f1", [figures["f1"] for figures in per_class.values()], _F1),
        *((key, [figures[key] for figures in per_class.values()], key) for key in ("auroc", "auprc", "brier", "ece")),
    ):
        entry[key] = _mean(own, [None if found is None else _drawn(found, drawn) for found in draws], task.names, groups)
    entry["confusion"] = {name: _table(cases)[0].tolist() for name, cases in zip(task.names, each, strict=True)}
    entry["unread"] = {"images": int(np.isnan(together.predicted).all(axis=1).sum())}
    entry["per_class"] = per_class
    return entry


_RECALLS, _F1 = "recalls", "f1s"


def _drawn(found: Resampled, name: str) -> Floats:
    """(R,) what a finding's own figure is in each resample."""
    if name == _RECALLS:
        return found.balanced_accuracy
    values: Floats = getattr(found, name)
    return values if values.ndim == 1 else values[:, -1]


def _figures(cases: Cases, draws: Resampled | None) -> dict[str, Any]:
    """One finding: what is shown of a class, and what belongs to it alone."""
    auroc, auprc = ranks(cases, draws)
    brier, ece = probability_figures(cases, draws)
    return {
        **class_figures(cases, 1),
        "specificity": class_figures(cases, 0)["recall"],
        "auroc": auroc,
        "auprc": auprc,
        "brier": brier,
        "ece": ece,
        "support": int((cases.truth == 1).sum()),
        "known": len(cases.truth),
    }


def _table(cases: Cases) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return confusion.confusion(cases.truth, cases.predicted, 2)


def _all_right(together: Findings) -> NDArray[np.bool_]:
    """(N,) whether all that is known of an image is called so; an unread image is not."""
    return np.asarray(((together.truth == together.predicted) | np.isnan(together.truth)).all(axis=1) & ~np.isnan(together.predicted[:, 0]))


def _balanced(cases: Cases, figures: dict[str, Any]) -> Estimate:
    """Mean of sensitivity and specificity of one finding."""
    sides = [figures["recall"], figures["specificity"]]
    if any(side["value"] is None for side in sides):
        return without(NO_CASES)
    value = float(np.mean([side["value"] for side in sides]))
    if any(side["low"] is None for side in sides):
        return estimate(value, None, ONE_GROUP)
    return estimate(value, intervals.of_mean([side["value"] for side in sides], [Interval(side["low"], side["high"]) for side in sides]))


def _mean(own: Sequence[Estimate], drawn: Sequence[Floats | None], names: Sequence[str], groups: int) -> Estimate:
    """The mean over findings that have a value: the shared bootstrap's interval, no narrower than if they were independent."""
    there = [index for index, figure in enumerate(own) if figure["value"] is not None]
    if not there:
        return without(NO_CASES)
    absent = [name for index, name in enumerate(names) if index not in there]
    note = f"over {len(there)} of {len(names)} classes; no cases of {', '.join(absent)}" if absent else ""
    value = float(np.mean([own[index]["value"] for index in there]))
    lacking = [names[index] for index in there if own[index]["low"] is None or drawn[index] is None]
    if lacking:
        return estimate(value, None, f"{', '.join(lacking)}: {ONE_GROUP}", note)
    means = confusion.macro(np.stack([values for index in there if (values := drawn[index]) is not None], axis=1))
    made = intervals.of_mean([own[index]["value"] for index in there], [Interval(own[index]["low"], own[index]["high"]) for index in there])
    return estimate(value, made.around(intervals.percentiles(means, groups)), note=note)
