"""The section about adaptation: what was trained, what was released and why, and by which rule the method was chosen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from medtl.document.table import Table, flat
from medtl.estimates import estimate, number

LABELS = {
    "source-validation": "source validation",
    "entropy": "entropy",
    "neighbourhood-density": "neighbourhood density",
    "dev": "DEV",
}
BETTER = {"source-validation": "higher", "entropy": "lower", "neighbourhood-density": "higher", "dev": "lower"}


def sentences(release: Mapping[str, Any]) -> list[str]:
    """What is said above the table, the decision first."""
    released, candidate = release["released"], release["candidate"]
    told = [
        f"Released: {released}. {_sentence(release['reason'])}",
        f"Put up for release: {candidate}, {release['chosen_by']}; adapted to {release['target_images']:,} images of "
        f"'{release['target']}' without their labels. The margin, {number(release['margin'])} AUROC, was set before.",
    ]
    if release.get("veto") and release["veto"] not in release["reason"]:
        told.append(f"Vetoed without labels: {release['veto']}.")
    if release.get("oracle"):
        told.append(
            f"On the {release['patients']:,} labelled target patients {release['oracle']} is best: what an oracle would have taken. It was "
            "not chosen by them, and a best of several is too good."
        )
    if released != "source-only":
        told.append("The figures below are of source patients; those of the target are in this table alone, until outside data are judged.")
    return told


def on_page_one(release: Mapping[str, Any]) -> str:
    """Which candidate the figures of the first page are of, and that they are not of the place it is meant for."""
    target, released = release["target"], release["released"]
    what = "not adapted (source-only)" if released == "source-only" else f"adapted by {released}"
    return f"The model is meant for '{target}', and is {what}; these figures are of the source, not of '{target}'."


def candidates_table(release: Mapping[str, Any]) -> Table:
    """A row per candidate: AUROC on labelled target patients, if there are any, and the scores that need no label."""
    rows, raw = [], []
    areas = release.get("auroc") or {}
    for name, scores in release["scores"].items():
        area = areas.get(name) or {"value": None, "reason": "no labels"}
        cells = ["n/a" if scores[key] is None else number(scores[key]) for key in LABELS]
        rows.append([f"{name} (released)" if name == release["released"] else name, estimate(area), *cells])
        raw.append({"candidate": name, **flat({"target_auroc": area}), **scores})
    better = "; ".join(f"{LABELS[key]}: {way} is better" for key, way in BETTER.items())
    note = (
        f"AUROC on {release['patients']:,} labelled target patients, with 95 % intervals by patient. Scores without labels: {better}; "
        "none of them is an AUROC, and all can be wrong."
    )
    header = ["candidate", f"AUROC on {release['target']}", *LABELS.values()]
    return Table("candidates", "Candidates", header, rows, pd.DataFrame(raw), note)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
