"""An entry of metrics.json as plain text for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medtl.contracts import Task
from medtl.estimates import number

HEADLINES = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro-F1",
    "brier": "Brier score",
    "ece": "ECE",
}
HEADLINES_OF_FINDINGS = {
    "auroc": "mean AUROC",
    "auprc": "mean AUPRC",
    "accuracy": "all findings right",
    "balanced_accuracy": "mean balanced accuracy",
    "macro_f1": "macro-F1",
    "brier": "mean Brier score",
    "ece": "mean ECE",
}
"""The same where an image may have several findings, each judged by itself."""
PER_CLASS = {"precision": "precision", "recall": "recall", "f1": "f1"}
OF_TWO = {"precision": "precision", "npv": "NPV", "recall": "recall", "specificity": "specificity", "f1": "f1"}


def lines(entry: Mapping[str, Any], task: Task, unit: str = "group", cases: str = "images") -> str:
    """Headline figures, then a row per class with precision, recall, F1 (95 % intervals) and support; for two classes specificity and NPV
    too. `cases`: what was judged. No trailing newline."""
    if task.kind == "multi":
        return _of_findings(entry, unit, cases)
    means = "" if task.positive_index is not None else " (mean of one against rest)"
    named = f" of {task.names[task.positive_index]}" if task.positive_index is not None else means
    labels = {key: label + (named if key in ("auroc", "auprc") else "") for key, label in HEADLINES.items()}
    shown = PER_CLASS if task.positive_index is None else OF_TWO
    columns = {key: label for key, label in shown.items() if all(key in each for each in entry["per_class"].values())}
    return "\n".join([_counts(entry, unit, cases), "", *_head(entry, labels), "", *_class_rows(entry, columns, cases)])


def unit_lines(entry: Mapping[str, Any], task: Task) -> str:
    """As :func:`lines`, of an entry by unit (`by_unit`), with how its answers were made."""
    return f"{made_of(entry)}\n{lines(entry, task, entry['unit'], plural(entry['unit']))}"


def made_of(entry: Mapping[str, Any]) -> str:
    """How the answers of an entry by unit came about, in a sentence or three."""
    unit, how = entry["unit"], {"mean": "the mean of its images' log-odds", "max": "the largest of its images' log-odds"}[entry["combine"]]
    together, several = isinstance(entry["confusion"], Mapping), len(entry["confusion"]) > 2
    fate = "have what one of them has" if together else "were left out" if several else "count as positive"
    mixed = f" {entry['mixed']:,} whose images differ in truth {fate}." if entry["mixed"] else ""
    return f"By {unit}: {how}; calibration and threshold fitted on {entry['fitted_on']:,} {plural(unit)} of validation.{mixed}"


def plural(unit: str) -> str:
    return "studies" if unit == "study" else f"{unit}s"


def _of_findings(entry: Mapping[str, Any], unit: str, cases: str) -> str:
    """Several findings per image: each judged by itself."""
    columns = {"precision": "precision", "recall": "recall", "specificity": "specificity", "f1": "f1", "auroc": "AUROC"}
    return "\n".join([_counts(entry, unit, cases), "", *_head(entry, HEADLINES_OF_FINDINGS), "", *_class_rows(entry, columns, cases)])


def _head(entry: Mapping[str, Any], labels: Mapping[str, str]) -> list[str]:
    width = max(map(len, labels.values()))
    return [f"{labels[key]:<{width}}  {estimate(entry[key])}" for key in HEADLINES]


def estimate(figure: Mapping[str, Any]) -> str:
    """`0.912 [0.880, 0.940]`; without an interval `0.912 (why)`; without a value `- (why)`.

    >>> estimate({"value": 0.912, "low": 0.88, "high": 0.94})
    '0.912 [0.880, 0.940]'
    >>> estimate({"value": None, "reason": "no cases"})
    '- (no cases)'
    """
    if figure["value"] is None:
        return f"- ({figure['reason']})"
    value = number(figure["value"])
    shown = f"{value} ({figure['reason']})" if figure["low"] is None else f"{value} [{number(figure['low'])}, {number(figure['high'])}]"
    return f"{shown} {figure['note']}" if figure.get("note") else shown


def _counts(entry: Mapping[str, Any], unit: str, cases: str) -> str:
    named = unit if entry["groups"] == 1 else plural(unit)
    units = f", {entry['groups']:,} {named}" if unit != "image" and cases == "images" else ""
    unread = sum(entry["unread"].values())
    rest = f"; {unread:,} could not be read and count as missed" if unread else ""
    given = entry.get("threshold")
    each = given if isinstance(given, list | tuple) else [given]
    threshold = "" if given is None else f"; threshold{'s' if len(each) > 1 else ''} {', '.join(map(number, each))}"
    return f"{entry['n']:,} {cases}{units}{rest}{threshold} (95 % intervals by {unit})"


def _class_rows(entry: Mapping[str, Any], keys: Mapping[str, str], cases: str) -> list[str]:
    header = ["class", *keys.values(), cases]
    body = [[name, *(estimate(figures[key]) for key in keys), f"{figures['support']:,}"] for name, figures in entry["per_class"].items()]
    widths = [max(len(row[column]) for row in [header, *body]) for column in range(len(header))]
    aligned = [
        [*(cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)), row[-1].rjust(widths[-1])] for row in [header, *body]
    ]
    return ["  ".join(row) for row in aligned]
