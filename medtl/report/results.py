"""The results section's tables: headline figures, per class, per domain, per subgroup. Nothing is computed twice: metrics.json says it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from medtl.document.table import Table, flat
from medtl.estimates import estimate, percent
from medtl.evaluation.summary import summarize
from medtl.evaluation.table import HEADLINES, HEADLINES_OF_FINDINGS
from medtl.records import KEY
from medtl.report.contents import Contents
from medtl.report.judged import judged

FEWEST_IMAGES, FEWEST_GROUPS = 20, 10
"""A subgroup smaller than this is not judged: its interval would say nothing."""
SMALL = f"Subgroups of fewer than {FEWEST_IMAGES} images or {FEWEST_GROUPS} groups are left out. Of so many, some differ by chance alone."
LEVELS = 8
_AGES = ((0, 18, "under 18"), (18, 40, "18 to 39"), (40, 60, "40 to 59"), (60, 80, "60 to 79"), (80, 200, "80 and over"))
_OF_TWO = {"auroc": "AUROC"}
_OF_MANY = {"accuracy": "accuracy"}
_OF_FINDINGS = {"accuracy": "all findings right", "auroc": "mean AUROC"}
_COMMONEST = {"single": "largest class", "multi": "commonest finding"}


@dataclass(frozen=True)
class Part:
    """The figures of one domain or subgroup."""

    by: str
    """`domain`, or a kept column."""
    level: str
    figures: Mapping[str, Any]
    """As of one split in metrics.json."""


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


def by_domain(contents: Contents, split: str) -> list[Part]:
    """The figures of each domain, where the split has several."""
    rows = judged(contents.predictions, split)
    names = sorted(rows["domain"].unique())
    if len(names) < 2:
        return []
    return [Part("domain", name, summarize(rows[rows["domain"] == name], contents.task)) for name in names]


def by_subgroup(contents: Contents, split: str) -> list[Part]:
    """The figures of each value of each kept column (ages and other measurements in bands), small subgroups left out."""
    if not contents.kept:
        return []
    renamed = {column: f"of {column}" for column in contents.kept}  # a kept column may be called p_something
    extra = contents.records[[*KEY, *contents.kept]].rename(columns=renamed)
    rows = judged(contents.predictions.merge(extra, on=KEY, how="left", validate="many_to_one"), split)
    found = []
    for column, own in renamed.items():
        for level, part in _levels(rows, own, column):
            if len(part) >= FEWEST_IMAGES and part["group_id"].nunique() >= FEWEST_GROUPS and len(part) < len(rows):
                found.append(Part(column, level, summarize(part.drop(columns=list(renamed.values())), contents.task)))
    return found


def _levels(rows: pd.DataFrame, own: str, column: str) -> Iterator[tuple[str, pd.DataFrame]]:
    values = rows[own].fillna("")
    known = rows[values != ""]
    numbers = pd.to_numeric(known[own], errors="coerce")
    if len(known) and numbers.notna().all() and numbers.nunique() > LEVELS:
        middle = numbers.median()
        halves = ((float("-inf"), middle, f"under {middle:g}"), (middle, float("inf"), f"{middle:g} and over"))
        for low, high, label in _AGES if column == "age" else halves:
            yield label, known[(numbers >= low) & (numbers < high)]
    else:
        commonest = known[own].value_counts().sort_index(kind="stable").sort_values(ascending=False, kind="stable").index
        for level in commonest[:LEVELS]:
            yield str(level), known[known[own] == level]
    if len(known) < len(rows):
        yield "unknown", rows[values == ""]


def parts_table(parts: list[Part], contents: Contents, name: str, caption: str, note: str = "") -> Table:
    """Domains or subgroups, a row each: size, which class there is most of, then how well it went."""
    task, unit = contents.task, contents.metrics["unit"]
    figures = _OF_FINDINGS if task.kind == "multi" else _OF_MANY if task.positive_index is None else _OF_TWO
    mix = (
        [_COMMONEST[task.kind]]
        if task.positive_index is None
        else [f"of them {task.names[task.positive_index]}", "sensitivity", "specificity"]
    )
    header = ["", "images", *([unit] if unit != "image" else []), *mix, *figures.values()]
    rows = []
    for part in parts:
        label = part.level if part.by == "domain" else f"{part.by}: {part.level}"
        sizes = [f"{part.figures['n']:,}", *([f"{part.figures['groups']:,}"] if unit != "image" else [])]
        rows.append([label, *sizes, *_mixture(part, contents), *(_short(part.figures[key]) for key in figures)])
    raw = [
        {"by": part.by, "level": part.level, "n": part.figures["n"], "groups": part.figures["groups"]}
        | flat({key: part.figures[key] for key in HEADLINES})
        for part in parts
    ]
    return Table(name, caption, header, rows, pd.DataFrame(raw), note)


def _short(figure: Mapping[str, Any]) -> str:
    """An estimate without its note; a rank of one class only says so in fewer words."""
    one_class = figure["value"] is None and str(figure.get("reason", "")).startswith("no cases of two classes")
    return "n/a (one class only)" if one_class else estimate({**figure, "note": ""})


def _mixture(part: Part, contents: Contents) -> list[str]:
    """Of two classes: how many are positive, sensitivity, specificity. Of several: the largest one's share, which guessing would reach."""
    task, classes = contents.task, part.figures["per_class"]
    if task.positive_index is None:
        largest = max(classes, key=lambda name: (classes[name]["support"], name))
        known = classes[largest].get("known", part.figures["n"])
        return [f"{largest} {percent(classes[largest]['support'] / known) if known else 'n/a'}"]
    yes, no = (classes[task.names[index]] for index in (task.positive_index, 1 - task.positive_index))
    return [f"{yes['support']:,}", estimate(yes["recall"]), estimate(no["recall"])]


def weakest(parts: list[Part], contents: Contents) -> tuple[Part, str, Mapping[str, Any]] | None:
    """The part with the lowest figure, which one, and the figure: balanced accuracy for two classes (if both are there), else accuracy."""
    key = "accuracy" if contents.task.positive_index is None else "balanced_accuracy"
    able = [part for part in parts if part.figures[key]["value"] is not None and part.figures[key]["low"] is not None]
    able = [part for part in able if key == "accuracy" or not part.figures[key].get("note")]
    if not able:
        return None
    worst = min(able, key=lambda part: (part.figures[key]["value"], part.by, part.level))
    return worst, key.replace("_", " "), worst.figures[key]
