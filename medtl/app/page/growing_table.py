"""A CSV that only grows: rows are written in one go and flushed to the disk, under a lock, for the owner alone.

What a failing machine cut off is cut away before the next row.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from medtl.errors import MedtlError


def grow(file: Path, header: bytes, rows: bytes) -> None:
    """Append `rows` (whole lines) to the table with this `header` line, which is made (0600) where there is none.

    Raises OSError where that cannot be done, with nothing written; MedtlError where the file begins otherwise, and is left alone.
    """
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        _append(descriptor, file.name, header, rows)
    finally:
        os.close(descriptor)


def private(folder: Path, option: str) -> Path:
    """The folder, made for the owner alone where it is not there. Raises MedtlError where it cannot be made or written."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise MedtlError(f"{option} {folder}: cannot be made ({error.strerror}); give a folder of yours") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise MedtlError(f"{option} {folder}: cannot be written; give a folder of yours")
    return folder


def _append(descriptor: int, name: str, header: bytes, rows: bytes) -> None:
    size = os.fstat(descriptor).st_size
    begins = os.pread(descriptor, len(header), 0)
    if size < len(header) and header.startswith(begins):  # new, or the first line was cut off
        os.ftruncate(descriptor, 0)
        size, rows = 0, header + rows
    elif begins != header:
        raise MedtlError(f"{name} has other columns than this version of medtl writes; give another folder")
    elif os.pread(descriptor, 1, size - 1) != b"\n":
        size = _end_of_lines(descriptor, size)
        os.ftruncate(descriptor, size)
    try:
        if os.write(descriptor, rows) != len(rows):
            raise OSError(28, "the disk is full")
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, size)
        raise


def _end_of_lines(descriptor: int, size: int) -> int:
    """Where the last whole line ends."""
    start = max(0, size - (1 << 16))
    return start + os.pread(descriptor, size - start, start).rfind(b"\n") + 1
