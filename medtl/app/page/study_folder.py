"""The readings of a reader study on the server: a CSV per reader, which only grows. What was said is stored before the next step is shown.

A row is written in one go and flushed to the disk, under a lock, by whoever serves the page alone (0700, 0600). What a failing machine cut
off is cut away before the next row.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from medtl.app.page.readings import COLUMNS, WITHOUT, csv
from medtl.errors import MedtlError

_HEADER = csv([]).encode()


class StudyFolder:
    """`folder`: made where it is not there. Raises MedtlError where it cannot be written."""

    def __init__(self, folder: Path):
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise MedtlError(f"--study {folder}: cannot be made ({error.strerror}); give a folder of yours") from None
        if not os.access(folder, os.W_OK | os.X_OK):
            raise MedtlError(f"--study {folder}: cannot be written; give a folder of yours")

    def file(self, reader: str) -> Path:
        """`reader`: a login's name or a code, which hold nothing that a path would mind."""
        return self.folder / f"readings-{reader}.csv"

    def add(self, reader: str, table: Sequence[Mapping[str, str]]) -> None:
        """Append rows. Raises MedtlError where they cannot be written, or the file is of another kind."""
        try:
            descriptor = os.open(self.file(reader), os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                _append(descriptor, csv(table, header=False).encode())
            finally:
                os.close(descriptor)
        except OSError as error:
            raise MedtlError(f"The reading could not be stored ({error.strerror}); nothing is shown before it is") from None

    def read_before(self, reader: str) -> set[tuple[str, str]]:
        """(case, model) that this reader has read in this study."""
        file = self.file(reader)
        if not file.is_file() or not file.stat().st_size:
            return set()
        table = pd.read_csv(file, dtype=str, keep_default_na=False, on_bad_lines="skip")
        if list(table.columns) != list(COLUMNS):
            raise _other(file.name)
        first = table[table["treatment"] == WITHOUT]
        return set(zip(first["case"], first["model"], strict=True))


def _append(descriptor: int, content: bytes) -> None:
    size = os.fstat(descriptor).st_size
    begins = os.pread(descriptor, len(_HEADER), 0)
    if size < len(_HEADER) and _HEADER.startswith(begins):  # new, or the first line was cut off
        os.ftruncate(descriptor, 0)
        size, content = 0, _HEADER + content
    elif begins != _HEADER:
        raise _other("the study's file")
    elif os.pread(descriptor, 1, size - 1) != b"\n":
        size = _end_of_lines(descriptor, size)
        os.ftruncate(descriptor, size)
    try:
        if os.write(descriptor, content) != len(content):
            raise OSError(28, "the disk is full")
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, size)
        raise


def _end_of_lines(descriptor: int, size: int) -> int:
    """Where the last whole line ends."""
    start = max(0, size - (1 << 16))
    return start + os.pread(descriptor, size - start, start).rfind(b"\n") + 1


def _other(name: str) -> MedtlError:
    return MedtlError(f"{name} has other columns than this version of medtl writes; give --study another folder")
