"""Tables beside the headline ones: the figures a reviewer asks for, and those by patient, lesion or study (docs/estimates.md)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pandas as pd

from medtl.document.table import Table, flat
from medtl.estimates import estimate
from medtl.evaluation.table import made_of, plural
from medtl.report.results import headline, of_findings, per_class

OVERALL = {
    "mcc": "MCC",
    "kappa": "Cohen's kappa",
    "weighted_precision": "weighted precision",
    "weighted_recall": "weighted recall",
    "weighted_f1": "weighted F1",
    "top_2_accuracy": "right class among the 2 most probable",
    "top_3_accuracy": "right class among the 3 most probable",
    "auprc_baseline": "AUPRC of guessing",
    "log_loss": "log loss",
    "mse": "mean squared error",
    "brier_reliability": "Brier: reliability",
    "brier_resolution": "Brier: resolution",
    "brier_uncertainty": "Brier: uncertainty",
    "ece_corrected": "ECE less its noise",
    "aurc": "AURC (risk over coverage)",
    "e_aurc": "E-AURC (above the best order)",
}
OF_CLASS = {
    "specificity": "specificity",
    "npv": "NPV",
    "auroc": "AUROC",
    "auroc_delong": "AUROC (Obuchowski)",
    "calibration_intercept": "calibration intercept",
    "calibration_slope": "calibration slope",
}
OF_FINDING = {"npv": "NPV", "mcc": "MCC", "log_loss": "log loss", **dict(list(OF_CLASS.items())[-3:])}
"""The rest stands in the table of findings."""
KEPT = ("auprc", "auprc_baseline")
"""In the CSV alone."""
NOTES = (
    "NPV holds at this prevalence only. Calibration: an intercept of 0 and a slope of 1 are right. Brier score = reliability - resolution "
    "+ uncertainty. What each figure is: docs/estimates.md."
)


def further(entry: Mapping[str, Any], split: str) -> list[Table]:
    """Overall and per class; nothing of an entry that an earlier version wrote without them."""
    entry = {**entry, **entry.get("risk_coverage", {})}
    there = {key: label for key, label in OVERALL.items() if key in entry}
    if not there:
        return []
    rows = [[label, estimate(entry[key])] for key, label in there.items()]
    raw = pd.DataFrame([{"figure": key, **{name: entry[key].get(name) for name in ("value", "low", "high", "reason")}} for key in there])
    return [Table(f"{split}_further", "Further figures (95 % interval)", ["", "value"], rows, raw), _of_classes(entry, split)]


def _of_classes(entry: Mapping[str, Any], split: str) -> Table:
    together = of_findings(entry)
    classes, twice = entry["per_class"], "auroc" if len(entry["per_class"]) == 2 else "auroc_delong"  # of two classes the headline has it
    shown = OF_FINDING if together else {key: label for key, label in OF_CLASS.items() if key != twice}
    rows = [[name, *(estimate(each.get(key)) for key in shown)] for name, each in classes.items()]
    raw = [{"class": name, **flat({key: each.get(key, {}) for key in (*OF_CLASS, *OF_FINDING, *KEPT)})} for name, each in classes.items()]
    header = ["finding" if together else "class", *shown.values()]
    caption = f"Further figures per {'finding' if together else 'class, against the rest'} (95 % interval)"
    return Table(f"{split}_further_classes", caption, header, rows, pd.DataFrame(raw), NOTES)


def by_unit(entry: Mapping[str, Any], split: str) -> list[Table]:
    """The headline figures and those per class of one answer per unit, where `medtl evaluate --by` made them."""
    own = entry.get("by_unit")
    if own is None:
        return []
    unit, name = own["unit"], f"{split}_by_{own['unit']}"
    figures, classes = headline(own, name), per_class(own, name)
    header = [plural(unit) if cell == "images" else cell for cell in classes.header]
    return [
        dataclasses.replace(figures, caption=f"By {unit} (95 % interval)", note=made_of(own)),
        dataclasses.replace(classes, caption=f"{classes.caption}, by {unit}", header=header),
    ]
