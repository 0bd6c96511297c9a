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
PER_CLASS = ("precision", "recall", "f1")


def lines(entry: Mapping[str, Any], task: Task, unit: str = "group") -> str:
    """Headline figures, then a row per class with precision, recall, F1 (95 % intervals) and support. No trailing newline."""
    means = "" if task.positive_index is not None else " (mean of one against rest)"
    named = f" of {task.names[task.positive_index]}" if task.positive_index is not None else means
    labels = {key: label + (named if key in ("auroc", "auprc") else "") for key, label in HEADLINES.items()}
    width = max(map(len, labels.values()))
    head = [f"{labels[key]:<{width}}  {estimate(entry[key])}" for key in HEADLINES]
    return "\n".join([_counts(entry, unit), "", *head, "", *_class_rows(entry)])


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
    threshold = "" if entry.get("threshold") is None else f"; threshold {entry['threshold']:.3f}"
    return f"{entry['n']:,} images{units}{rest}{threshold} (95 % intervals by {unit})"


def _class_rows(entry: Mapping[str, Any]) -> list[str]:
    header = ["class", *PER_CLASS, "images"]
    body = [
        [name, *(estimate(figures[key]) for key in PER_CLASS), f"{figures['support']:,}"] for name, figures in entry["per_class"].items()
    ]
    widths = [max(len(row[column]) for row in [header, *body]) for column in range(len(header))]
    aligned = [
        [*(cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)), row[-1].rjust(widths[-1])] for row in [header, *body]
    ]
    return ["  ".join(row) for row in aligned]
