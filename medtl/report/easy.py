"""What is easy here: the model's figures beside those of answers that nobody needs a network for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from medtl.document.table import Table, plain
from medtl.estimates import estimate, number
from medtl.evaluation.probability import SMALLEST
from medtl.report.contents import Contents
from medtl.report.results import of_findings

HEADER = ("", "AUROC", "accuracy", "Brier score", "log loss")
_NOTE = (
    "The commonest class, and how frequent each class is, are those of the images judged: no constant answer does better. What is "
    "measured of the file is learned on training images, or out of fold where there are none, and has nothing but a rank."
)


def easy(contents: Contents) -> Table | None:
    """Of the split that the report leads with; None for an entry of an earlier version."""
    entry = contents.entry
    if entry.get("brier_uncertainty", {}).get("value") is None:
        return None
    rows = [
        ["the model", *(estimate(entry[key]) for key in ("auroc", "accuracy", "brier", "log_loss"))],
        *_constant(entry),
        *([f"{words} alone", estimate(found), "", "", ""] for words, found in contents.alone.items()),
    ]
    near, about = contents.baselines.get(contents.split, {}).get("neighbours", {}), ""
    if "auroc" in near:
        told = f"the {near['nearest']} nearest of {near['of']:,} training images{' of its fold' if near['folds'] > 1 else ''}"
        rows.append([told, estimate(near["auroc"]), estimate(near["accuracy"]) if "accuracy" in near else "", "", ""])
        about = f" Nearest: by the frozen features of {near['features']}, before any training."
    elif near:
        about = f" Nearest training images are left out: {near['reason'].rstrip('.')}."
    return plain(f"{contents.split}_easy", "What is easy here (95 % interval)", HEADER, rows, _NOTE + about)


def _constant(entry: Mapping[str, Any]) -> list[list[str]]:
    """Always the commonest class; always the prevalence, whose Brier score is the uncertainty."""
    classes, uncertainty = entry["per_class"], estimate(entry["brier_uncertainty"])
    if of_findings(entry):
        surprises = [_entropy([shown, 1 - shown]) for each in classes.values() if (shown := each["auprc_baseline"]["value"]) is not None]
        return [["the prevalence of each finding for all", "0.500", "", uncertainty, number(float(np.mean(surprises)))]]
    commonest = max(classes, key=lambda name: (classes[name]["support"], name))
    surprise = _entropy([each["auprc_baseline"]["value"] for each in classes.values()])
    return [
        [f"the commonest class ({commonest}) for all", "0.500", estimate(classes[commonest]["prevalence"]), "", ""],
        ["the prevalence of each class for all", "0.500", "", uncertainty, number(surprise)],
    ]


def _entropy(shares: list[float]) -> float:
    """The log loss of always saying these shares, where they are the true ones."""
    each = np.asarray(shares, dtype=np.float64)
    return float(-(each * np.log(np.maximum(each, SMALLEST))).sum())
