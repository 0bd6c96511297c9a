"""What a person hands over to have a model judged by it: a table of labels and images, side by side or in zips.

The table alone is read; images stay packed until they are needed.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from medtl.app.page.held import Held, Upload
from medtl.cohorts.tables import read_table
from medtl.errors import MedtlError, listed
from medtl.imaging.unpacking import BrokenArchive, member_names, zip_members

MOST_ROWS = 10_000
LARGEST_TABLE = 8 << 20
"""Bytes."""
_TABLES = (".csv", ".tsv")
_NO_CSV = (".xlsx", ".xls", ".ods", ".parquet")


@dataclass(frozen=True)
class Source:
    """Where the bytes of a name are."""

    upload: Upload
    member: str = ""
    """Its name in the zip; empty: the upload itself."""


@dataclass(frozen=True)
class Labelled:
    """One hand-over, its table read."""

    held: Held
    table: str
    """The table's name, as the person calls it."""
    cells: pd.DataFrame
    """As the table writes them: strings."""
    images: dict[str, Source]
    """By name: the path in the zip (of several zips with the zip's own name before it), or what the file is called."""

    @property
    def packed(self) -> bool:
        """Whether images lie in a zip, which may refuse to give them."""
        return any(source.member for source in self.images.values())

    @property
    def place(self) -> str:
        """The folder of the table among the names."""
        return PurePosixPath(self.table).parent.as_posix()


def labelled(held: Held) -> Labelled:
    """Look at an upload. Raises MedtlError: no table or several, one too large or no table at all, no images, two of one name."""
    images: dict[str, Source] = {}
    tables: dict[str, Source] = {}
    for name, source in _named(held):
        kind = tables if name.lower().endswith(_TABLES) else images
        if name in kind:
            raise MedtlError(f"two files are called '{name}'; zip the folder, so that each has a path of its own")
        kind[name] = source
    others = [name for name in images if name.lower().endswith(_NO_CSV)]
    if not tables and others:
        raise MedtlError(f"the table '{others[0]}' is no CSV; save it as .csv and hand it over with the images")
    if len(tables) != 1:
        found = f"several tables are there ({listed(tables, 5)})" if tables else "no table is there"
        raise MedtlError(f"{found}; one .csv file is needed, with a row for each image: the image's name and its label")
    ((name, source),) = tables.items()
    cells = _cells(source, held.folder, name)
    if not images:
        raise MedtlError(f"only the table '{name}' is there; choose it together with the images, or with a zip of them")
    return Labelled(held, name, cells, images)


def _named(held: Held) -> Iterator[tuple[str, Source]]:
    several = sum(each.holds_many for each in held.uploads) > 1
    for upload in held.uploads:
        if not upload.holds_many:
            yield upload.name, Source(upload)
            continue
        before = f"{PurePosixPath(upload.name).stem}/" if several else ""
        try:
            yield from ((before + name, Source(upload, name)) for name in member_names(upload.file))
        except BrokenArchive as broken:
            raise MedtlError(f"'{upload.name}': {broken}") from None


def _cells(source: Source, folder: Path, name: str) -> pd.DataFrame:
    """Raises MedtlError; the sentence has the person's name of the table, and no path of this machine."""
    place = Path(tempfile.mkdtemp(dir=folder))
    try:
        file = taken_out(source, place, name)
        if file.stat().st_size > LARGEST_TABLE:
            raise MedtlError(f"the table '{name}' is larger than {LARGEST_TABLE >> 20} MiB; leave out columns that are not needed")
        plain = file.rename(place / f"table{PurePosixPath(name).suffix.lower()}")
        try:
            cells = read_table(plain).cells
        except MedtlError as refusal:
            raise MedtlError(str(refusal).replace(str(plain), name)) from None
    finally:
        shutil.rmtree(place, ignore_errors=True)
    if len(cells) > MOST_ROWS:
        raise MedtlError(f"the table '{name}' has {len(cells):,} rows; at most {MOST_ROWS:,} are taken in one go")
    return cells


def taken_out(source: Source, place: Path, name: str) -> Path:
    """The file of a source below `place`, the upload itself moved there. Raises MedtlError with the reason where a zip does not give it."""
    if not source.member:
        return source.upload.file.rename(place / "moved")
    for member in zip_members(source.upload.file, place, lambda each: each == source.member):
        if member.file is None:
            raise MedtlError(f"'{name}' {member.reason.partition(' [')[0]}")
        return member.file
    raise MedtlError(f"'{name}' is not there any more; choose the files again")
