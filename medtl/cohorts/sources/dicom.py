"""A folder of DICOM files and a table of labels, matched by SOPInstanceUID, accession number or file name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import pandas as pd

from medtl.cohorts.files import composed, inside_root, list_images, without_suffix
from medtl.cohorts.headers import KEPT, read_facts
from medtl.cohorts.ids import find_ids, header_id
from medtl.cohorts.label_rows import label_columns, missing_columns, open_table, without_uncertain
from medtl.cohorts.settings import TableSettings
from medtl.cohorts.source_table import COLUMNS, SourceTable, counted, unusable
from medtl.cohorts.tables import LabelTable
from medtl.contracts import Task
from medtl.errors import MedtlError, listed

TASKS = ("single", "multi")
WORDS = {"sop_instance_uid": "SOPInstanceUID", "accession_number": "AccessionNumber", "file_name": "file name"}


class Settings(TableSettings):
    """Only headers are read here. Patients come from them, (issuer, id) or else the study, unless `patient` says otherwise."""

    name: Literal["dicom"] = "dicom"
    match: Literal["sop_instance_uid", "accession_number", "file_name"] = "sop_instance_uid"
    """What the column `key` holds. A file name may be a path below `folder`, with or without its suffix."""
    key: str
    """The column of the table by which its rows find their images."""


def build(settings: Settings, root: Path, wanted: Sequence[str], task: Task | None = None) -> SourceTable:
    """A row per DICOM file that a row of the table matches, with the `wanted` columns of the table, else of the header."""
    try:
        opened = open_table(settings, root)
    except MedtlError as refusal:
        return unusable(str(refusal))
    labels, mistaken = label_columns(settings, opened.cells, task)
    missing = [*missing_columns(opened.cells, {"key": settings.key}), *mistaken, *missing_columns(opened.cells, {"view": settings.view})]
    if missing:
        return unusable(*missing)
    files, notes = read_headers(root, settings.folder, settings.table)
    try:
        keys = _keys(settings, root, opened, files["image"].tolist())
    except MedtlError as refusal:
        return unusable(str(refusal))
    mistakes = _repeated_keys(settings, opened, keys)
    matched = _match(settings, opened, keys, files, notes, mistakes)
    if matched.empty:
        return unusable(*mistakes)
    cells = opened.cells.loc[matched["row"]].reset_index(drop=True)
    table = matched[["image"]].assign(frame=0)
    lines = pd.Series(opened.lines, index=opened.cells.index)[matched["row"]]
    table["where"] = [f"line {line} ({image})" for line, image in zip(lines, matched["image"], strict=True)]
    for column, written in labels.items():
        table[column] = without_uncertain(cells[written], settings.uncertain)
    source = SourceTable(table, [*opened.notes, *notes], mistakes, [*opened.cells.columns, *KEPT])
    _find_ids(source, settings, root, cells, matched)
    for column in wanted:
        if column in cells.columns and column not in COLUMNS:
            table[column] = cells[column]
        elif column in KEPT:
            table[column] = matched[column]
    return source


def read_headers(root: Path, folder: str, table: str = "") -> tuple[pd.DataFrame, list[str]]:
    """A row per image file below `folder`: `image` (relative to root) and the header's facts (empty where it has none); and notes."""
    found = list_images(root / folder)
    facts = {name: read_facts(root / folder / name) for name in found.images}
    images = [inside_root(root, folder, name) or name for name in facts]
    columns = ["sop_instance_uid", "accession_number", "study_instance_uid", "patient_id", "issuer", *KEPT]
    files = pd.DataFrame([fact or {} for fact in facts.values()], columns=columns).fillna("").assign(image=images)
    without = sum(fact is None for fact in facts.values())
    notes = [f"{counted(without, 'file')} of {len(files):,} have no readable DICOM header"] if without else []
    return files, [*notes, *filter(None, [found.without(table).left_out()])]


def _keys(settings: Settings, root: Path, opened: LabelTable, images: Sequence[str]) -> pd.Series[str]:
    """What each row is matched by: its cell, or of file names the file that is meant (the cell where there is none).

    Raises MedtlError where a bare name stands for several files: the row is of one patient's, and would label another's too.
    """
    written = opened.cells[settings.key]
    if settings.match != "file_name":
        return written
    meant = _files_meant(settings, root, written, images)
    several = sorted(name for name, files in meant.items() if len(files) > 1)
    if several:
        what = f"{counted(len(several), 'name stands', 'names stand')} for several files below '{settings.folder}': {listed(several)}"
        raise MedtlError(f"match: file_name: {what}; write their paths below it")
    return written.map(lambda cell: meant[cell][0] if meant[cell] else cell)


def _files_meant(settings: Settings, root: Path, written: Iterable[str], images: Sequence[str]) -> dict[str, list[str]]:
    """Cell → the files that it names: a path below `folder` or the root, else a name; the exact one before that without its suffix."""
    names = [image.rsplit("/", 1)[-1] for image in images]
    paths = [_places(images, images), _places(map(without_suffix, images), images)]
    bare = [_places(names, images), _places(map(without_suffix, names), images)]

    def meant(cell: str) -> list[str]:
        if "/" not in cell and "\\" not in cell:
            return next((known[composed(cell)] for known in bare if composed(cell) in known), [])
        places = [composed(inside_root(root, place, cell) or "") for place in (settings.folder, ".")]
        return next((known[place] for place in places for known in paths if place in known), [])

    return {cell: meant(cell) for cell in set(written)}


def _places(keys: Iterable[str], images: Iterable[str]) -> dict[str, list[str]]:
    places: dict[str, list[str]] = {}
    for key, image in zip(keys, images, strict=True):
        places.setdefault(composed(key), []).append(image)
    return places


def _match(
    settings: Settings, opened: LabelTable, keys: pd.Series[str], files: pd.DataFrame, notes: list[str], mistakes: list[str]
) -> pd.DataFrame:
    """The files with the `row` of the table that each belongs to; both sides' unmatched are noted or refused."""
    rows = {key: row for row, key in keys.items() if key}
    row_of = files["image" if settings.match == "file_name" else settings.match].map(rows)
    matched = files[row_of.notna()].assign(row=row_of.dropna().astype(int)).reset_index(drop=True)
    unmatched = opened.cells.index.difference(list(matched["row"]))
    rate = f"{len(opened.cells) - len(unmatched):,} of {counted(len(opened.cells), 'row')} matched by {WORDS[settings.match]}"
    notes.append(rate)
    if len(unmatched) and (settings.missing == "refuse" or matched.empty):
        lines = f"lines {listed(opened.lines[row] for row in unmatched)}"
        remedy = "put the files there, or say `missing: exclude`"
        mistakes.append(f"{counted(len(unmatched), 'row')} without an image ({rate}): {lines}; {remedy}")
    elif len(unmatched):
        notes.append(f"{counted(len(unmatched), 'row')} without an image left out")
    headed = (files["sop_instance_uid"] != "") | (files["modality"] != "") | (settings.match == "file_name")
    _unlisted(settings, files[row_of.isna() & headed], matched, notes, mistakes)
    return matched


def _unlisted(settings: Settings, unlisted: pd.DataFrame, matched: pd.DataFrame, notes: list[str], mistakes: list[str]) -> None:
    if len(unlisted) and settings.unlisted == "refuse" and len(matched):
        names = listed(unlisted["image"])
        mistakes.append(f"{counted(len(unlisted), 'image')} without a row in the table: {names}; add the rows, or say `unlisted: exclude`")
    elif len(unlisted):
        notes.append(f"{counted(len(unlisted), 'image')} without a row in the table left out")


def _repeated_keys(settings: Settings, opened: LabelTable, keys: pd.Series[str]) -> list[str]:
    repeated = keys[(keys != "") & keys.duplicated(keep=False)]
    if repeated.empty:
        return []
    lines = f"lines {listed(opened.lines[row] for row in repeated.index)}"
    needed = f"one row per {WORDS[settings.match]} is needed"
    return [f"{counted(len(repeated), 'row')} repeat a value of '{settings.key}': {lines}; {needed}"]


def _find_ids(source: SourceTable, settings: Settings, root: Path, cells: pd.DataFrame, headers: pd.DataFrame) -> None:
    """As for every cohort, but patients and studies come from the header where nothing else is said."""
    find_ids(source, settings, root, cells)
    facts = headers.to_dict("records")
    for kind in ("patient", "study"):
        if getattr(settings, kind) is None and f"{kind}_id" not in cells.columns:
            source.table[kind] = [header_id(kind, {str(name): str(value) for name, value in fact.items()}) for fact in facts]
    without = int((source.table["patient"] == "").sum())
    if without and settings.patient is None:
        source.notes.append(f"{counted(without, 'image')} have no patient id in the header")
