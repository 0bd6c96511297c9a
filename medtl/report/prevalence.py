"""What the answers are worth where the disease is rarer: PPV and NPV at several prevalences, beside those of the judged images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from medtl.contracts import Task
from medtl.document.table import Table, flat
from medtl.estimates import estimate, number, percent
from medtl.evaluation.prevalence import USUAL, both, predictive_values

NOTE = (
    "Out of sensitivity and specificity on these images, at the thresholds in use; they are taken to be the same where the disease is "
    "rarer, which holds only where the ill are as ill. The intervals are carried over from both; the prevalence is taken for known. "
    "Of every image read, had its answer been given."
)


def at_prevalences(entry: Mapping[str, Any], task: Task, split: str) -> list[Table]:
    """Of two classes a row per prevalence, of findings a row per finding; nothing of more classes, or of an entry without specificity."""
    if task.kind == "multi":
        return _of_findings(entry, split) if all("specificity" in each for each in entry["per_class"].values()) else []
    if task.positive_index is None:
        return []
    own = entry["per_class"][task.names[task.positive_index]]["prevalence"]["value"]
    shares = sorted({*USUAL, *([own] if own and 0 < own < 1 else [])})
    found = {share: predictive_values(*both(entry, task.names, task.positive_index), share) for share in shares}
    rows = [
        [f"{_percent(share)}{' (these images)' if share == own else ''}", estimate(ppv), estimate(npv)]
        for share, (ppv, npv) in found.items()
    ]
    raw = pd.DataFrame([{"prevalence": share, **flat({"ppv": ppv, "npv": npv})} for share, (ppv, npv) in found.items()])
    header = [f"prevalence of {task.names[task.positive_index]}", "PPV", "NPV"]
    return [Table(f"{split}_prevalences", "At other prevalences (95 % interval)", header, rows, raw, NOTE)]


def _of_findings(entry: Mapping[str, Any], split: str) -> list[Table]:
    rows, raw = [], []
    for name in entry["per_class"]:
        cells = []
        for share in USUAL:
            ppv, npv = predictive_values(*both(entry, (), None, name), share)
            cells.append(f"{_short(ppv)} / {_short(npv)}")
            raw.append({"finding": name, "prevalence": share, **flat({"ppv": ppv, "npv": npv})})
        rows.append([name, *cells])
    note = f"{NOTE} The intervals are in the CSV."
    header = ["finding", *(f"at {_percent(share)}" for share in USUAL)]
    return [Table(f"{split}_prevalences", "PPV / NPV of each finding at other prevalences", header, rows, pd.DataFrame(raw), note)]


def _short(figure: Mapping[str, Any]) -> str:
    return "n/a" if figure["value"] is None else number(figure["value"])


def _percent(share: float) -> str:
    return f"{100 * share:g} %" if share in USUAL else percent(share)
