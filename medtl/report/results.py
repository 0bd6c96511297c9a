"""The results section's tables: headline figures, per class, confusion. Nothing is computed twice: metrics.json says it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from medtl.document.table import Table, flat
from medtl.estimates import estimate
from medtl.evaluation.table import HEADLINES, HEADLINES_OF_FINDINGS


def headline(entry: Mapping[str, Any], split: str) -> Table:
    """All figures of one split."""
    rows = [[label, estimate(entry[key])] for key, label in (HEADLINES_OF_FINDINGS if of_findings(entry) else HEADLINES).items()]
    raw = pd.DataFrame([{"figure": key, **_plain(entry[key])} for key in HEADLINES])
    return Table(f"{split}_figures", "Figures (95 % interval)", ["", "value"], rows, raw)


def of_findings(entry: Mapping[str, Any]) -> bool:
    """Whether the images may have several findings, each judged by itself."""
    return isinstance(entry["confusion"], Mapping)


def _plain(figure: Mapping[str, Any]) -> dict[str, Any]:
    return {key: figure.get(key) for key in ("value", "low", "high", "reason", "note")}


def per_class(entry: Mapping[str, Any], split: str) -> Table:
    """Precision, recall, F1 and prevalence of each class, with support."""
    if of_findings(entry):
        return _per_finding(entry, split)
    names = ("precision", "recall", "f1", "prevalence")
    rows = [[label, f"{each['support']:,}", *(estimate(each[name]) for name in names)] for label, each in entry["per_class"].items()]
    raw = [{"class": label, "support": each["support"], **flat({n: each[n] for n in names})} for label, each in entry["per_class"].items()]
    header = ["class", "images", "precision (PPV)", "recall (sensitivity)", "F1", "prevalence"]
    note = "Precision holds at this prevalence only; where the class is rarer it is lower."
    return Table(f"{split}_classes", "Per class (95 % interval)", header, rows, pd.DataFrame(raw), note)


def _per_finding(entry: Mapping[str, Any], split: str) -> Table:
    """As :func:`per_class`, with what each finding has for itself."""
    names = ("precision", "recall", "specificity", "f1", "auroc", "auprc", "prevalence")
    rows = [
        [label, f"{each['support']:,} of {each['known']:,}", *(estimate(each[name]) for name in names)]
        for label, each in entry["per_class"].items()
    ]
    raw = [
        {"class": label, "support": each["support"], "known": each["known"], **flat({n: each[n] for n in (*names, "brier", "ece")})}
        for label, each in entry["per_class"].items()
    ]
    header = ["finding", "images", "precision (PPV)", "recall (sensitivity)", "specificity", "F1", "AUROC", "AUPRC", "prevalence"]
    note = "Of the images of which the finding is known. Precision holds at this prevalence only; where the finding is rarer it is lower."
    return Table(f"{split}_classes", "Per finding (95 % interval)", header, rows, pd.DataFrame(raw), note)


def confusion_table(entry: Mapping[str, Any], split: str) -> Table:
    """Rows = truth; the last column counts what could not be read. Of several findings a row for each."""
    if of_findings(entry):
        header = ["finding", "found", "missed", "false alarms", "rightly not called", "not read"]
        body = [
            [name, tp, fn, fp, tn, entry["per_class"][name]["known"] - tn - fp - fn - tp]
            for name, ((tn, fp), (fn, tp)) in entry["confusion"].items()
        ]
        cells = [[str(cell) for cell in row] for row in body]
        return Table(f"{split}_confusion", "Confusion, finding by finding", header, cells, pd.DataFrame(body, columns=header))
    names = list(entry["per_class"])
    body = [[name, *row, entry["unread"][name]] for name, row in zip(names, entry["confusion"], strict=True)]
    raw = pd.DataFrame(body, columns=["truth", *names, "not read"])
    return Table(f"{split}_confusion", "Confusion", ["truth", *names, "not read"], [[str(cell) for cell in row] for row in body], raw)
