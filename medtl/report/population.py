"""The data section: who is in it (Table 1), what became of every image (flow), what could not be used (quarantine)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from medtl import findings
from medtl.contracts import CALIBRATION, EXCLUDED, SPLITS
from medtl.document.table import Table, plain
from medtl.estimates import percent
from medtl.predictions import OUT_OF_SCOPE
from medtl.records import KEY, SPELLING
from medtl.report.contents import Contents

LEVELS = 12
"""Values of a kept column that get a row of their own, the commonest first."""
_MEASURED_FROM = 7
"""A column of numbers with so many different ones is a measurement (median, quartiles), with fewer a code (counts)."""


def table_one(contents: Contents) -> list[Table]:
    """Table 1 by split (or fold), and by domain where there are several. Shares are of the column's images."""
    rows = contents.records
    used = rows[rows["split"] != EXCLUDED]
    tables = [
        _table(
            "table_1",
            f"Table 1. Images by {'fold' if contents.over_folds else 'split'}",
            {"all used": used, **_by_split(contents)},
            contents,
        )
    ]
    if len(contents.domains) > 1:
        by_domain = {name: used[used["domain"] == name] for name in contents.domains}
        tables.append(_table("table_1_domains", "Table 1, by domain", {"all used": used, **by_domain}, contents))
    return tables


def _by_split(contents: Contents) -> dict[str, pd.DataFrame]:
    rows = contents.records
    if contents.over_folds:
        folds = sorted(set(rows["fold"]) - {""}, key=int)
        parts = {f"fold {int(fold) + 1}": rows[rows["fold"] == fold] for fold in folds}
        held = rows[rows["split"] == CALIBRATION]
        return {**parts, CALIBRATION: held} if len(held) else parts
    return {split: rows[rows["split"] == split] for split in SPLITS if split != EXCLUDED and (rows["split"] == split).any()}


def _table(name: str, caption: str, parts: dict[str, pd.DataFrame], contents: Contents) -> Table:
    body = [["images", *(f"{len(part):,}" for part in parts.values())]]
    unit = contents.metrics["unit"]
    if unit != "image":
        body.append([f"groups ({unit})", *(f"{part['group_id'].nunique():,}" for part in parts.values())])
    for label in contents.task.names:
        body += _class_rows(label, parts, contents)
    if contents.task.kind == "single" and any((part["label"] == "").any() for part in parts.values()):
        body.append(["class: not known", *(_counted(part, part["label"] == "") for part in parts.values())])
    for column in (*(name for name in (SPELLING,) if name in contents.records.columns), *contents.kept):
        body += _kept(column, parts)
    note = "Each image is test in its own fold and is learned from in the others." if contents.over_folds else ""
    note += (" " if note else "") + _HELD_OUT[contents.over_folds] if CALIBRATION in parts else ""
    header = ["", *parts]
    return Table(name, caption, header, body, pd.DataFrame(body, columns=["characteristic", *parts]), note)


def _class_rows(label: str, parts: dict[str, pd.DataFrame], contents: Contents) -> Iterator[list[str]]:
    """How many are of the class; of a finding, how many have it, and of how many that is not known."""
    if contents.task.kind == "single":
        yield [f"class: {label}", *(_counted(part, part["label"] == label) for part in parts.values())]
        return
    column = findings.PREFIX + label
    yield [f"finding: {label}", *(_counted(part, part[column] == "1") for part in parts.values())]
    if any((part[column] == "").any() for part in parts.values()):
        yield [f"{label}: not known", *(_counted(part, part[column] == "") for part in parts.values())]


def _kept(column: str, parts: dict[str, pd.DataFrame]) -> Iterator[list[str]]:
    """Rows of one kept column: median [quartiles] of measurements, counts of everything else; then the unknown ones."""
    values = pd.concat([part[column] for part in parts.values()])
    known = values[values != ""]
    numbers = pd.to_numeric(known, errors="coerce")
    if len(known) and numbers.notna().all() and numbers.nunique() >= _MEASURED_FROM:
        yield [f"{column}, median [quartiles]", *(_median(part[column]) for part in parts.values())]
    else:
        commonest = known.value_counts().sort_index(kind="stable").sort_values(ascending=False, kind="stable").index
        for level in commonest[:LEVELS]:
            yield [f"{column}: {level}", *(_counted(part, part[column] == level) for part in parts.values())]
        rest = commonest[LEVELS:]
        if len(rest):
            yield [f"{column}: {len(rest)} others", *(_counted(part, part[column].isin(rest)) for part in parts.values())]
    if len(known) < len(values):
        yield [f"{column}: unknown", *(_counted(part, part[column] == "") for part in parts.values())]


def _median(values: pd.Series[str]) -> str:
    numbers = pd.to_numeric(values[values != ""], errors="coerce").dropna()
    if not len(numbers):
        return "n/a (none known)"
    low, middle, high = numbers.quantile([0.25, 0.5, 0.75])
    return f"{middle:g} [{low:g}, {high:g}]"


def _counted(part: pd.DataFrame, which: pd.Series[bool]) -> str:
    count = int(which.sum())
    return f"{count:,} ({percent(count / len(part))})" if len(part) else "0"


_HELD_OUT = {
    True: "Images of calibration stand in no fold: the ensemble's calibration and threshold are fitted on them.",
    False: "Images of calibration were held out: the network was neither trained on nor chosen by them.",
}
"""By whether the run is a cross-validation."""


@dataclass(frozen=True)
class Flow:
    """What became of the images: of `start`, the `lost` were not used, for a reason each; the rest went where `kept` says."""

    start: int
    lost: list[tuple[str, int]]
    used: int
    kept: list[tuple[str, int, int]]
    """Split (or fold), images, groups; what is held out of training is one of them."""
    notes: list[str]
    """What was left out before anything was read, as the cohorts said."""


def flow(contents: Contents) -> Flow:
    """Of the records: every image that the cohorts name stands there, whatever became of it."""
    rows = contents.records
    out = rows[rows["split"] == EXCLUDED]
    broken = _quarantined(contents)
    broken_keys = pd.MultiIndex.from_frame(broken[KEY])
    others = out[~pd.MultiIndex.from_frame(out[KEY]).isin(broken_keys)]
    lost = [(_why(str(code)), int(count)) for code, count in broken["quarantine"].value_counts().sort_index().items()]
    unlabelled = int((others["label"] == "").sum())
    lost += [("no label", unlabelled)] if unlabelled else []
    lost += [("left out by the split", len(others) - unlabelled)] if len(others) > unlabelled else []
    kept = [(name, len(part), int(part["group_id"].nunique())) for name, part in _by_split(contents).items()]
    notes = [note for log in contents.logs.values() for event in log if event.get("event") == "images" for note in event.get("notes", [])]
    return Flow(len(rows), lost, len(rows) - len(out), kept, list(dict.fromkeys(notes)))


def _why(code: str) -> str:
    return "outside the stated scope" if code == OUT_OF_SCOPE else f"quarantined: {code}"


def _quarantined(contents: Contents) -> pd.DataFrame:
    """Measurements of the images that could not be used."""
    if contents.measurements is None:
        return pd.DataFrame(columns=[*KEY, "quarantine", "reason"])
    return contents.measurements[contents.measurements["quarantine"] != ""].sort_values(KEY)


def flow_table(found: Flow) -> Table:
    """The flow as a CSV."""
    rows = [("in the tables", found.start, ""), *((f"not used: {why}", count, "") for why, count in found.lost), ("used", found.used, "")]
    return plain("flow", "Flow of images", ["step", "images", "groups"], [*rows, *found.kept])


def quarantine(contents: Contents) -> Table | None:
    """Every image that could not be used, and why; None where all could."""
    broken = _quarantined(contents)
    if broken.empty:
        return None
    rows = [[_name(row.image, row.frame), row.quarantine, row.reason] for row in broken.itertuples()]
    return plain("quarantine", "Images that could not be used", ["image", "code", "reason"], rows, prose=True)


def _name(image: object, frame: object) -> str:
    return f"{image}, frame {frame}" if frame else str(image)
