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
from medtl.evaluation import agreement, confusion, further, intervals
from medtl.evaluation.cases import Cases, Findings, findings_from_table
from medtl.evaluation.figures import (
    NO_CASES,
    ONE_GROUP,
    Estimate,
    class_figures,
    estimate,
    lacking,
    probability_figures,
    share,
    share_of,
    without,
)
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
        *((key, [figures[key] for figures in per_class.values()], key) for key in ("auroc", "auprc", "brier", "ece", *OF_FINDING)),
    ):
        entry[key] = _mean(
            own, [None if found is None else _drawn(found, drawn) for found in draws], task.names, groups, *RANGES.get(key, (0.0, 1.0))
        )
    entry |= {"auprc_baseline": _baseline(per_class), "mse": entry["brier"]}
    for name, figure in (("weighted_precision", "precision"), ("weighted_recall", "recall"), ("weighted_f1", "f1")):
        entry[name] = _by_support(per_class, figure, draws, groups)
    entry["confusion"] = {name: _table(cases)[0].tolist() for name, cases in zip(task.names, each, strict=True)}
    entry["unread"] = {"images": int(np.isnan(together.predicted).all(axis=1).sum())}
    entry["per_class"] = per_class
    return entry


_RECALLS, _F1 = "recalls", "f1s"
_NO_OTHER = "intervals: finding by finding"
OF_FINDING = (
    "mcc", "kappa", "log_loss", "ece_corrected", "brier_reliability", "brier_resolution", "brier_uncertainty",
)  # fmt: skip
"""What each finding has of the further figures of a task of two classes; the rest it has as a class."""
RANGES = {**dict.fromkeys(("mcc", "kappa", "ece_corrected", "brier_resolution"), (-1.0, 1.0)), "log_loss": (0.0, float("inf"))}
"""Of the figures that may lie outside 0 to 1."""


def _by_support(per_class: dict[str, dict[str, Any]], name: str, draws: Sequence[Resampled | None], groups: int) -> Estimate:
    """The mean of a share over findings, each weighed by the images that have it (one never called has a precision of 0 here)."""
    there = [(figures, found) for figures, found in zip(per_class.values(), draws, strict=True) if figures["support"]]
    if not there:
        return without(NO_CASES)
    weights = [figures["support"] for figures, _ in there]
    values = [figures[name]["value"] or 0.0 for figures, _ in there]
    value = float(np.average(values, weights=weights))
    drawn = [found for _, found in there if found is not None]
    if len(drawn) < len(there) or any(figures[name].get("low") is None for figures, _ in there):
        return estimate(value, None, _NO_OTHER)
    each = [Interval(figures[name]["low"], figures[name]["high"]) for figures, _ in there]
    of_draws = [np.stack([getattr(found, part)[:, 1] for found in drawn], axis=1) for part in (f"{name}s", "supports")]
    means = agreement.by_support(*of_draws)
    return estimate(value, intervals.of_mean(values, each, weights=weights).around(intervals.percentiles(means, groups)))


def _baseline(per_class: dict[str, dict[str, Any]]) -> Estimate:
    """The AUPRC of guessing: the mean of the prevalences of the findings that have an AUPRC."""
    known = [figures["auprc_baseline"]["value"] for figures in per_class.values() if figures["auprc"]["value"] is not None]
    return estimate(float(np.mean(known)), None, _NO_OTHER) if known else without(NO_CASES)


def _drawn(found: Resampled, name: str) -> Floats:
    """(R,) what a finding's own figure is in each resample."""
    if name == "ece_corrected":
        return found.ece - float(np.nanmean(found.ece_noise))
    if name == _RECALLS:
        return found.balanced_accuracy
    values: Floats = getattr(found, name)
    return values if values.ndim == 1 else values[:, -1]


def _figures(cases: Cases, draws: Resampled | None) -> dict[str, Any]:
    """One finding: what is shown of a class, and what belongs to it alone."""
    brier, ece = probability_figures(cases, draws)
    shares = class_figures(cases, 1)
    found = {"accuracy": share(cases, cases.truth == cases.predicted, np.ones(len(cases.truth), dtype=bool)), "brier": brier, "ece": ece}
    beyond = further.overall(cases, draws, found, lacking({"absent": class_figures(cases, 0), "present": shares}, "recall"))
    return {
        **shares,
        **further.of_class(cases, 1, draws),
        "brier": brier,
        "ece": ece,
        **{key: beyond[key] for key in OF_FINDING},
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


def _mean(
    own: Sequence[Estimate], drawn: Sequence[Floats | None], names: Sequence[str], groups: int, lowest: float, highest: float
) -> Estimate:
    """The mean over findings that have a value: the shared bootstrap's interval, no narrower than if they were independent."""
    there = [index for index, figure in enumerate(own) if figure["value"] is not None]
    if not there:
        return without(NO_CASES)
    absent = [name for index, name in enumerate(names) if index not in there]
    note = f"over {len(there)} of {len(names)} classes; no cases of {', '.join(absent)}" if absent else ""
    value = float(np.mean([own[index]["value"] for index in there]))
    without_interval = [index for index in there if own[index]["low"] is None or drawn[index] is None]
    if without_interval:
        reason = own[without_interval[0]].get("reason", ONE_GROUP)
        return estimate(value, None, f"{', '.join(names[index] for index in without_interval)}: {reason}", note)
    means = confusion.macro(np.stack([values for index in there if (values := drawn[index]) is not None], axis=1))
    each = [Interval(own[index]["low"], own[index]["high"]) for index in there]
    made = intervals.of_mean([own[index]["value"] for index in there], each, lowest, highest)
    return estimate(value, made.around(intervals.percentiles(means, groups)), note=note)
