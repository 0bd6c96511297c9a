"""One entry of metrics.json: every figure of one split, with its interval.

What counts: all images whose truth is known (`n`). One that could not be read has no prediction; it stays in the
denominators of accuracy, recall and F1 as a miss of its class (`unread`, beside the confusion matrix, whose rows and it add up to the
support). Ranks and calibration (AUROC, AUPRC, Brier, ECE) need a probability: they are over the images read.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from medtl.contracts import Task, Threshold
from medtl.evaluation import confusion, further
from medtl.evaluation.cases import from_table
from medtl.evaluation.figures import class_figures, lacking, mean_of_shares, probability_figures, ranks, share
from medtl.evaluation.resampling import RESAMPLES, resample
from medtl.evaluation.summary_of_findings import summarize_findings


def summarize(
    predictions: pd.DataFrame, task: Task, seed: int = 0, threshold: Threshold | None = None, resamples: int = RESAMPLES
) -> dict[str, Any]:
    """The figures of the rows of one split (see the module; rows of members, stress views or unknown truth are left out).

    Of several findings per image: see `summary_of_findings`. `threshold`: the one (or those) behind `predicted`, handed through.
    `seed` fixes the bootstrap; equal tables give equal entries whatever their row order. Classes without images have no value and stay
    out of the means (the mean's `note` says so).
    """
    if task.kind == "multi":
        return summarize_findings(predictions, task, seed, threshold, resamples)
    cases = from_table(predictions, task)
    table, unread = confusion.confusion(cases.truth, cases.predicted, len(cases.classes))
    per_class = {name: class_figures(cases, index) for index, name in enumerate(cases.classes)}
    support = table.sum(axis=1) + unread
    entry: dict[str, Any] = {"n": len(cases.truth), "groups": cases.group_count, "answered": cases.answered, "threshold": threshold}
    entry["accuracy"] = share(cases, cases.truth == cases.predicted, np.ones(len(cases.truth), dtype=bool))
    draws = resample(cases, seed, resamples) if cases.group_count > 1 else None
    absent = [name for name, images in zip(cases.classes, support, strict=True) if not images]
    recalls, scores = confusion.recall(table, unread), confusion.f1(table, unread)
    entry["balanced_accuracy"] = mean_of_shares(recalls, per_class, "recall", draws.balanced_accuracy if draws else None, cases, absent)
    entry["macro_f1"] = mean_of_shares(scores, per_class, "f1", draws.macro_f1 if draws else None, cases, absent)
    entry["auroc"], entry["auprc"] = ranks(cases, draws)
    entry["brier"], entry["ece"] = probability_figures(cases, draws)
    entry |= further.overall(cases, draws, entry, lacking(per_class, "recall"))
    entry["confusion"] = table.tolist()
    entry["unread"] = dict(zip(cases.classes, unread.tolist(), strict=True))
    entry["per_class"] = {
        name: {**figures, **further.of_class(cases, index, draws), "support": int(support[index])}
        for index, (name, figures) in enumerate(per_class.items())
    }
    return entry
