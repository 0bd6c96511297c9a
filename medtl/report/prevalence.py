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
    "rarer, which holds only where the ill are as ill. The intervals are carried over from both; the prevalence is taken for known."
)
EVERY = "Every image that was read is judged, as if every answer had been given."
BOTH = "In the other columns the answers that were given: the prevalence is then that among the images answered."


def at_prevalences(entry: Mapping[str, Any], task: Task, split: str) -> list[Table]:
    """Of two classes a row per prevalence, of findings a row per finding; nothing of more classes, or of an entry without specificity.
    Where some images got no answer, those answered stand beside every image read."""
    if task.kind == "multi":
        return _of_findings(entry, split) if all("specificity" in each for each in entry["per_class"].values()) else []
    if task.positive_index is None:
        return []
    positive = task.names[task.positive_index]
    own = entry["per_class"][positive]["prevalence"]["value"]
    shares = sorted({*USUAL, *([own] if own and 0 < own < 1 else [])})
    sides = _sides(entry)
    found = {
        share: {kind: predictive_values(*both(side, task.names, task.positive_index), share) for kind, side in sides.items()}
        for share in shares
    }
    rows = [
        [f"{_percent(share)}{' (these images)' if share == own else ''}", *(estimate(value) for pair in each.values() for value in pair)]
        for share, each in found.items()
    ]
    raw = pd.DataFrame([{"prevalence": share, **_flat(each)} for share, each in found.items()])
    header = [f"prevalence of {positive}", "PPV", "NPV", *(["PPV, answered only", "NPV, answered only"] if len(sides) > 1 else [])]
    return [Table(f"{split}_prevalences", "At other prevalences (95 % interval)", header, rows, raw, _note(sides))]


def _of_findings(entry: Mapping[str, Any], split: str) -> list[Table]:
    rows, raw, sides = [], [], _sides(entry)
    for name in entry["per_class"]:
        found = {share: {kind: predictive_values(*both(side, (), None, name), share) for kind, side in sides.items()} for share in USUAL}
        for kind, label in (("", name), ("answered_", f"{name}, answered only")):
            if kind in sides:
                rows.append([label, *(f"{_short(each[kind][0])} / {_short(each[kind][1])}" for each in found.values())])
        raw += [{"finding": name, "prevalence": share, **_flat(each)} for share, each in found.items()]
    note = f"{_note(sides).replace('columns', 'rows')} The intervals are in the CSV."
    header = ["finding", *(f"at {_percent(share)}" for share in USUAL)]
    return [Table(f"{split}_prevalences", "PPV / NPV of each finding at other prevalences", header, rows, pd.DataFrame(raw), note)]


def _sides(entry: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Prefix in the CSV -> figures: of every image read, and of those answered where not all were."""
    only = entry.get("answering", {}).get("answered_only")
    return {"": entry, **({"answered_": only} if only else {})}


def _flat(each: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]]) -> dict[str, Any]:
    return flat({f"{kind}{name}": value for kind, pair in each.items() for name, value in zip(("ppv", "npv"), pair, strict=True)})


def _note(sides: Mapping[str, Any]) -> str:
    return f"{NOTE} {EVERY} {BOTH}" if len(sides) > 1 else NOTE


def _short(figure: Mapping[str, Any]) -> str:
    return "n/a" if figure["value"] is None else number(figure["value"])


def _percent(share: float) -> str:
    return f"{100 * share:g} %" if share in USUAL else percent(share)
