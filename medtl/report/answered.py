"""All who came and those answered, side by side (`medtl.evaluation.answering`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pandas as pd

from medtl.document.table import Table, flat, plain
from medtl.estimates import estimate, percent
from medtl.evaluation import answering
from medtl.report.contents import Contents
from medtl.report.judged import judged, judged_splits

_FIGURES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro-F1",
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "brier": "Brier score",
    "ece": "ECE",
}
_OF_CLASS = {"recall": "sensitivity", "specificity": "specificity", "precision": "PPV", "f1": "F1"}


def completed(contents: Contents) -> Contents:
    """With what metrics.json of an earlier version does not say of its answers, worked out of the predictions, once."""
    splits = dict(contents.metrics["splits"])
    for split in judged_splits(contents.metrics):
        if "answering" not in splits[split]:
            splits[split] = {**splits[split], "answering": answering.answering(judged(contents.predictions, split), contents.task)}
    return dataclasses.replace(contents, metrics={**contents.metrics, "splits": splits})


def of(contents: Contents, split: str) -> Mapping[str, Any]:
    """What is known of a split's answers; of :func:`completed` contents."""
    found: Mapping[str, Any] = contents.metrics["splits"][split]["answering"]
    return found


def all_comers(contents: Contents) -> Mapping[str, Any]:
    """The leading split's entry in which no answer is no hit: what the first page shows. The entry itself where all were answered."""
    return answering.of_all_comers(contents.entry, of(contents, contents.split).get("all_comers"))


def beside(contents: Contents, key: str, name: str = "") -> str:
    """`; of those answered (91.0 %): 0.918 (0.851 to 0.956)` of a figure, or of one of a class; empty where all were answered."""
    answers = of(contents, contents.split)
    own = answers.get("answered_only")
    if own is None:
        return ""
    figure = (own["per_class"][name] if name else own)[key]
    return f"; of those answered ({percent(answers['coverage']['value'])}): {estimate(figure)}"


def tables(contents: Contents, split: str) -> list[Table]:
    """Counts and reasons, and either kind of figures; nothing where all images got an answer."""
    answers = of(contents, split)
    if "all_comers" not in answers:
        return []
    return [_counts(answers, split), _figures(contents.metrics["splits"][split], answers, split)]


def _counts(answers: Mapping[str, Any], split: str) -> Table:
    codes = list(answers["reasons"])
    rows = [
        [name, each["n"], each["found"], each["missed"], each["unanswered"], *(answers["reasons"][code][name] for code in codes)]
        for name, each in answers["counts"].items()
    ]
    header = ["", "images", "found", "missed", "unanswered", *(f"of them {code}" for code in codes)]
    return plain(f"{split}_answered", "All who came", header, rows)


def _figures(entry: Mapping[str, Any], answers: Mapping[str, Any], split: str) -> Table:
    comers, only = answers["all_comers"], answers["answered_only"]
    told = [(label, entry[key] if key in answering.NEED_PROBABILITY else comers[key], only[key]) for key, label in _FIGURES.items()]
    shown = {key: label for key, label in _OF_CLASS.items() if key != "specificity" or len(comers["per_class"]) > 2}
    told += [
        (f"{label} of {name}", comers["per_class"][name][key], only["per_class"][name][key])
        for name in comers["per_class"]
        for key, label in shown.items()
        if key in comers["per_class"][name]
    ]
    rows = [[label, estimate(one), estimate(other)] for label, one, other in told]
    raw = pd.DataFrame([{"figure": label, **flat({"all_comers": one, "answered_only": other})} for label, one, other in told])
    note = (
        "All who came: no answer is no hit; AUROC, AUPRC, Brier score and ECE are of every image read, had its answer been given. Answered "
        "only is too good where the hard ones are sent away."
    )
    header = ["", "all who came", f"answered only ({percent(answers['coverage']['value'])})"]
    return Table(f"{split}_answered_figures", "All who came, and answered only (95 % interval)", header, rows, raw, note)
