"""Labels: how often each class comes in each split and domain, classes too rare to learn or to judge, unknown and probably wrong labels."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from medtl.audit.findings import Finding
from medtl.audit.joined import groups_of
from medtl.audit.label_errors import label_errors
from medtl.audit.places import place_of, places
from medtl.contracts import CALIBRATION, EXTERNAL, TEST, TRAIN, VALIDATION, Task
from medtl.errors import listed
from medtl.estimates import percent
from medtl.evaluation.intervals import effective_cases, wilson

FEW_TO_LEARN, FEW_TO_JUDGE = 30, 10
"""Groups (patients) of a class: fewer in training, fewer in a split that judges."""
_APART = 0.05
"""Shares of a class in two splits are only reported when they differ by this much, however sure the difference is."""
_ORDER = (TRAIN, VALIDATION, CALIBRATION, TEST, EXTERNAL)


def label_health(records: pd.DataFrame, task: Task, predictions: pd.DataFrame | None) -> list[Finding]:
    """Findings CLASS_MISSING (grave where nothing could be learned from), RARE_CLASS, PREVALENCE_BETWEEN_SPLITS,
    PREVALENCE_BETWEEN_DOMAINS, PREVALENCE (the table), UNKNOWN_LABELS, and those of :func:`label_errors`.

    Arguments:
        predictions: out-of-fold ones, see :mod:`medtl.predictions`; None where there are none.
    """
    placed = records.reset_index(drop=True).assign(place=places(records.reset_index(drop=True)))
    placed = placed.assign(group=groups_of(placed))
    used = placed[(placed["label"] != "") & (placed["place"] != "")]
    findings = [*_missing(used, task), *_rare(used, task), *_unknown(placed)]
    if len(used):
        table = _prevalence(used, task)
        findings += [*_between_splits(table, place_of(records)), *_between_domains(used, task)]
        whole = used["label"].value_counts().reindex(task.names, fill_value=0)
        shares = listed(f"{name} {percent(count / len(used))}" for name, count in whole.items())
        findings.append(Finding("PREVALENCE", "note", f"{len(used):,} labelled images in use: {shares}", table=table))
    return findings + (label_errors(records, task, predictions) if predictions is not None else [])


def _prevalence(used: pd.DataFrame, task: Task) -> pd.DataFrame:
    """A row per domain, split and class: images, groups, share of that split's images with its interval (95 %, Wilson, by group)."""
    lines = []
    for domain, own in [("all", used), *used.groupby("domain")] if used["domain"].nunique() > 1 else [("all", used)]:
        for place in ["all", *_in_order(own["place"])]:
            part = own if place == "all" else own[own["place"] == place]
            lines += [{"domain": domain, "split": place, **_share(part, name)} for name in task.names]
    return pd.DataFrame(lines)


def _in_order(found: pd.Series) -> list[str]:
    """Training first; folds by name."""
    return sorted(set(found), key=lambda place: (_ORDER.index(place) if place in _ORDER else len(_ORDER), place))


def _share(part: pd.DataFrame, name: str) -> dict[str, object]:
    own = part["label"] == name
    around = wilson(float(own.mean()), effective_cases(own, part["group"]))
    counts = {"class": name, "images": int(own.sum()), "groups": part.loc[own, "group"].nunique(), "of": len(part)}
    return counts | {"share": round(float(own.mean()), 4), "low": round(around.low, 4), "high": round(around.high, 4)}


def _between_splits(table: pd.DataFrame, kind: str) -> Iterator[Finding]:
    """Splits of one domain whose intervals for a class do not touch."""
    rows = table[(table["split"] != "all") & ((table["domain"] != "all") | (table["domain"].nunique() == 1))]
    apart = []
    for (domain, name), own in rows.groupby(["domain", "class"], sort=False):
        first, last = own.iloc[int(own["share"].argmin())], own.iloc[int(own["share"].argmax())]
        if first["high"] < last["low"] and last["share"] - first["share"] >= _APART:
            apart.append({"domain": domain, "class": name, "rarest in": first["split"], "share": first["share"],
                          "commonest in": last["split"], "its share": last["share"]})  # fmt: skip
    if apart:
        worst = max(apart, key=lambda line: line["its share"] - line["share"])
        yield Finding(
            "PREVALENCE_BETWEEN_SPLITS",
            "notable",
            f"The {kind} differ in how often classes come: '{worst['class']}' is {percent(worst['share'])} of {worst['rarest in']} "
            f"and {percent(worst['its share'])} of {worst['commonest in']}",
            "Probabilities, precision and the threshold carry the prevalence that they were made with. Split by chance, by patient; "
            "where that was done, another split.seed evens it out.",
            pd.DataFrame(apart),
        )


def _between_domains(used: pd.DataFrame, task: Task) -> Iterator[Finding]:
    if used["domain"].nunique() < 2:
        return
    shares = pd.crosstab(used["domain"], used["label"], normalize="index").reindex(columns=list(task.names), fill_value=0.0)
    spread = shares.max() - shares.min()
    name = str(spread.idxmax())
    if spread[name] >= _APART:
        own = shares[name].sort_values()
        said = f"{percent(float(own.iloc[0]))} of {own.index[0]} and {percent(float(own.iloc[-1]))} of {own.index[-1]}"
        yield Finding(
            "PREVALENCE_BETWEEN_DOMAINS",
            "note",
            f"'{name}' is {said}",
            "A model may take the domain's look for the class. Compare results within each domain, and state the prevalence with them.",
            shares.round(4).reset_index(),
        )


def _missing(used: pd.DataFrame, task: Task) -> Iterator[Finding]:
    """Classes without an image: anywhere, in training, or in a split that judges."""
    counts = _groups_by_place(used, task)
    learned = counts[[place for place in counts.columns if place == TRAIN or place.startswith("fold ")]]
    unlearned = [name for name in task.names if not learned.loc[name].sum()] if learned.shape[1] else []
    if unlearned:
        yield Finding(
            "CLASS_MISSING",
            "grave",
            f"No image to learn from: {listed(unlearned)}",
            "Add images, or take the class out of task.classes.",
            counts.reset_index(),
        )
    unjudged = [(name, place) for place in counts.columns for name in task.names if place != TRAIN and not counts.loc[name, place]]
    unjudged = [(name, place) for name, place in unjudged if name not in unlearned]
    if unjudged:
        said = listed(f"'{name}' in {place}" for name, place in unjudged)
        advice = "It has no recall there, and the means leave it out. Split anew, or collect more."
        yield Finding("CLASS_MISSING", "notable", f"No image to judge by: {said}", advice, counts.reset_index())


def _rare(used: pd.DataFrame, task: Task) -> Iterator[Finding]:
    counts = _groups_by_place(used, task)
    lines = []
    for place in counts.columns:
        fewest = FEW_TO_LEARN if place == TRAIN else FEW_TO_JUDGE
        few = counts[(counts[place] > 0) & (counts[place] < fewest)][place]
        lines += [{"class": name, "split": place, "groups": int(count), "wanted": fewest} for name, count in few.items()]
    if lines:
        rare = list(dict.fromkeys(str(line["class"]) for line in lines))
        yield Finding(
            "RARE_CLASS",
            "notable",
            f"{len(rare)} of {len(task.names)} classes have few cases: {listed(rare)}",
            f"Below {FEW_TO_LEARN} groups (patients, lesions) a class is hardly learned, below {FEW_TO_JUDGE} its recall has an interval "
            "of half the scale. Collect more, join classes, try imbalance: settings; do not rank models by such a class.",
            pd.DataFrame(lines),
        )


def _groups_by_place(used: pd.DataFrame, task: Task) -> pd.DataFrame:
    """Groups of each class (rows) in each split (columns)."""
    counts = used.groupby(["label", "place"])["group"].nunique().unstack(fill_value=0)
    counts = counts.reindex(index=pd.Index(task.names, name="class"), columns=_in_order(used["place"]), fill_value=0)
    return counts.fillna(0).astype(int)


def _unknown(placed: pd.DataFrame) -> Iterator[Finding]:
    unknown = placed["label"] == ""
    if unknown.any():
        table = placed.assign(unknown=unknown).groupby("domain")["unknown"].agg(images="size", unlabelled="sum").reset_index()
        yield Finding(
            "UNKNOWN_LABELS",
            "note",
            f"{int(unknown.sum()):,} of {len(placed):,} images have no label ({percent(float(unknown.mean()))})",
            "They are neither learned from nor judged. If they are of another kind (the undecided, the healthy), results leave that out.",
            table,
        )
