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
PER_CLASS = ("precision", "recall", "f1")


def lines(entry: Mapping[str, Any], task: Task, unit: str = "group") -> str:
    """Headline figures, then a row per class with precision, recall, F1 (95 % intervals) and support. No trailing newline."""
    if task.kind == "multi":
        return _of_findings(entry, unit)
    means = "" if task.positive_index is not None else " (mean of one against rest)"
    named = f" of {task.names[task.positive_index]}" if task.positive_index is not None else means
    labels = {key: label + (named if key in ("auroc", "auprc") else "") for key, label in HEADLINES.items()}
    return "\n".join([_counts(entry, unit), "", *_head(entry, labels), "", *_class_rows(entry)])


def _of_findings(entry: Mapping[str, Any], unit: str) -> str:
    """Several findings per image: each judged by itself."""
    columns = {"precision": "precision", "recall": "recall", "specificity": "specificity", "f1": "f1", "auroc": "AUROC"}
    return "\n".join([_counts(entry, unit), "", *_head(entry, HEADLINES_OF_FINDINGS), "", *_class_rows(entry, columns)])


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


def _counts(entry: Mapping[str, Any], unit: str) -> str:
    plural = "studies" if unit == "study" else f"{unit}s"
    units = f", {entry['groups']:,} {unit if entry['groups'] == 1 else plural}" if unit != "image" else ""
    unread = sum(entry["unread"].values())
    rest = f"; {unread:,} could not be read and count as missed" if unread else ""
    given = entry.get("threshold")
    each = given if isinstance(given, list | tuple) else [given]
    threshold = "" if given is None else f"; threshold{'s' if len(each) > 1 else ''} {', '.join(f'{value:.3f}' for value in each)}"
    return f"{entry['n']:,} images{units}{rest}{threshold} (95 % intervals by {unit})"


def _class_rows(entry: Mapping[str, Any], columns: Mapping[str, str] | None = None) -> list[str]:
    keys = columns or dict(zip(PER_CLASS, PER_CLASS, strict=True))
    header = ["class", *keys.values(), "images"]
    body = [[name, *(estimate(figures[key]) for key in keys), f"{figures['support']:,}"] for name, figures in entry["per_class"].items()]
    widths = [max(len(row[column]) for row in [header, *body]) for column in range(len(header))]
    aligned = [
        [*(cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)), row[-1].rjust(widths[-1])] for row in [header, *body]
    ]
    return ["  ".join(row) for row in aligned]
