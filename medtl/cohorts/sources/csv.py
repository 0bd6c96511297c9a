"""A table with a row per image: one column says where the image is, another its label. CSV, Excel or Parquet.

A standard manifest (`image` relative to the table, `label`, perhaps `patient_id`) needs `table:` only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Literal

import pandas as pd
from pydantic import model_validator

from medtl.cohorts.files import Listing, as_on_disk, by_name, composed, file_of, inside_root, list_images
from medtl.cohorts.ids import find_ids
from medtl.cohorts.label_rows import label_columns, missing_columns, open_table, without_uncertain
from medtl.cohorts.settings import TableSettings
from medtl.cohorts.source_table import COLUMNS, SourceTable, counted, rows_listed, unusable
from medtl.contracts import Task
from medtl.errors import MedtlError, listed

TASKS = ("single", "multi")


class Settings(TableSettings):
    """Rows find their image by a path in a column, with a `suffix` added or a `template` filled in."""

    name: Literal["csv"] = "csv"
    image: str = "image"
    """The column that names the image, relative to the table's folder: a file, or an address in one (`scan.nii.gz/0`, its first slice)."""
    find: Literal["path", "name"] = "path"
    """`name`: the column holds a file's name, with or without its suffix, anywhere below `folder`."""
    suffix: str = ""
    """Added to every name, such as '.jpg'."""
    template: str | None = None
    """Makes the path out of columns, such as 'images/{image_id}.jpg'."""
    frame: str | None = None
    """The column that names the frame, the slice (`image.volume` says of which plane) or the row of an array, as records do: rows count
    from 0; of a file, 0 or nothing means the only image it holds, so that its first slice must be named as an address."""

    @model_validator(mode="after")
    def _one_way(self) -> Settings:
        if self.template is not None and self.suffix:
            raise ValueError("`suffix` and `template` exclude each other: write the suffix into the template")
        if self.find == "name" and (self.suffix or self.template):
            raise ValueError("`find: name` needs no `suffix` or `template`")
        return self


def build(settings: Settings, root: Path, wanted: Sequence[str], task: Task | None = None) -> SourceTable:
    """A row per image of the table, with the `wanted` columns that it has."""
    try:
        opened = open_table(settings, root)
    except MedtlError as refusal:
        return unusable(str(refusal))
    cells = opened.cells
    fields = re.findall(r"{([^{}]+)}", settings.template) if settings.template is not None else [settings.image]
    labels, mistaken = label_columns(settings, cells, task)
    missing = missing_columns(cells, {f"image ({name})": name for name in fields})
    missing += [*mistaken, *missing_columns(cells, {"view": settings.view, "frame": settings.frame})]
    if missing:
        return unusable(*missing)
    if settings.template is not None and not fields:
        return unusable(f"template: '{settings.template}' names no column; such as 'images/{{{settings.image}}}.jpg'")
    try:
        table = _located(settings, root, cells, opened.lines)
    except MedtlError as refusal:
        return unusable(str(refusal))
    for column, written in labels.items():
        table[column] = without_uncertain(cells[written], settings.uncertain)
    source = SourceTable(table, notes=list(opened.notes), offers=list(cells.columns))
    _refuse_outside(source)
    find_ids(source, settings, root, cells.loc[source.table.index])
    for column in wanted:
        if column in cells.columns and column not in COLUMNS:
            source.table[column] = cells[column]
    _check_files(source, settings, root)
    return source


def _located(settings: Settings, root: Path, cells: pd.DataFrame, lines: Sequence[int]) -> pd.DataFrame:
    columns = {str(name): cells[name].tolist() for name in cells.columns}
    written = [_path(settings, {name: column[row] for name, column in columns.items()}) for row in range(len(cells))]
    table = pd.DataFrame({"image": _images(settings, root, written), "frame": 0}, index=cells.index)
    table["where"] = [f"line {line} ({path or 'no image'})" for line, path in zip(lines, written, strict=True)]
    if settings.frame is not None:
        named = cells[settings.frame].str.strip().str.replace(r"\.0+$", "", regex=True)
        wrong = ~named.str.fullmatch(r"\d{0,9}", flags=re.ASCII)
        if wrong.any():
            examples = f"{rows_listed(table[wrong])}, such as {named[wrong].iloc[0]!r}"
            raise MedtlError(f"frame: {counted(int(wrong.sum()), 'row')} with no whole number in '{settings.frame}': {examples}")
        table["frame"] = named.replace("", "0").astype(int)
    return table


def _images(settings: Settings, root: Path, written: Sequence[str]) -> list[str | None]:
    """Where each row's image is: relative to the root, empty where the row names none, None where it leads out of the root."""
    if settings.find == "path":
        folder = (PurePosixPath(settings.folder) / settings.table).parent.as_posix()
        return as_on_disk(root, [inside_root(root, folder, path) if path else "" for path in written])
    places = by_name(list_images(root / settings.folder).images)
    found = [places.get(composed(name), [name]) for name in written]
    several = sorted({name for name, paths in zip(written, found, strict=True) if len(paths) > 1})
    if several:
        raise MedtlError(
            f"find: name: {counted(len(several), 'name')} stand for several files below '{settings.folder}': {listed(several)}"
        )
    return [inside_root(root, settings.folder, paths[0]) if paths[0] else "" for paths in found]


def _path(settings: Settings, row: dict[str, str]) -> str:
    if settings.template is None:
        return row[settings.image] + settings.suffix if row[settings.image] else ""
    return re.sub(r"{([^{}]+)}", lambda field: row[field[1]], settings.template)


def _refuse_outside(source: SourceTable) -> None:
    outside = source.table[source.table["image"].isna()]
    if len(outside):
        source.mistakes.append(f"{counted(len(outside), 'row')} lead out of the data root: {rows_listed(outside)}")
        source.table = source.table[source.table["image"].notna()]


def _check_files(source: SourceTable, settings: Settings, root: Path) -> None:
    """Rows without an image, and images without a row in the folders that the table points into."""
    table = source.table
    everywhere = settings.find == "name"
    files = [file_of(root, image) for image in table["image"]]
    named = {PurePosixPath(file).parent.as_posix() for file in files if file}
    folders = [inside_root(root, ".", settings.folder) or "."] if everywhere else sorted(named)
    listings = {folder: list_images(root / folder, everywhere) for folder in folders}
    there = {(PurePosixPath(folder) / name).as_posix() for folder, found in listings.items() for name in found.images}
    exists = pd.Series([file in there or (bool(file) and (root / file).is_file()) for file in files], index=table.index)
    absent = table[~exists]
    if len(absent) and settings.missing == "refuse":
        matched = f"{int(exists.sum()):,} of {len(table):,} rows have their image"
        source.mistakes.append(
            f"{counted(len(absent), 'row')} without an image ({matched}{_hint(table, there)}): {rows_listed(absent)}; "
            "put the files there, or say `missing: exclude`"
        )
    elif len(absent):
        source.notes.append(f"{counted(len(absent), 'row')} of {len(table):,} without an image left out")
    unlisted = sorted(there - set(files))
    if unlisted and settings.unlisted == "refuse" and exists.any():
        source.mistakes.append(
            f"{counted(len(unlisted), 'image')} without a row in the table: {listed(unlisted)}; add the rows, or say `unlisted: exclude`"
        )
    elif unlisted:
        source.notes.append(f"{counted(len(unlisted), 'image')} without a row in the table left out")
    if masks := Listing(masks=sum(found.masks for found in listings.values())).masks_left_out():
        source.notes.append(masks)
    source.table = table[exists]


def _hint(table: pd.DataFrame, there: set[str]) -> str:
    """Where names lack their suffix, or have another one, say which would fit."""
    stems = {path.rsplit(".", 1)[0]: "." + path.rsplit(".", 1)[1] for path in there if "." in path.rsplit("/", 1)[-1]}
    fitting = [stems[image] for image in table["image"] if image in stems]
    return f"; {len(fitting):,} would with suffix: {fitting[0]}" if fitting else ""
