"""Files that are either whole or absent: written beside, flushed to disk, checked, moved into place. And one writer a folder."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from medtl.errors import MedtlError

UNFINISHED = ".tmp"
"""How the name of a file or folder ends that is being written; it begins with a dot."""


def write_atomically(path: Path, write: Callable[[Path], None], verify: Callable[[Path], object] | None = None) -> None:
    """Let `write` fill a temporary file in the same folder, flush it to disk, let `verify` read it back, then replace `path`.

    A kill or a full disk at any moment leaves the old file or the new one, never a torn one; the temporary file is removed
    on an error; what a killed process leaves, :func:`locked` clears away.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=UNFINISHED)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        share(temporary)
        _flush(temporary)
        if verify is not None:
            verify(temporary)
        os.replace(temporary, path)
        _flush(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def check_place(option: str, file: Path, example: str) -> None:
    """Refuse, before the work, a `file` that could not be written after it; by trying, in the nearest folder that is there.

    Folders that are missing are not made yet. option: as the person gave it (`--out`); example: a name for a file in a folder.
    Raises MedtlError: a folder, a place below a file, a name that is too long, no permission, a disk that is full or read-only.
    """
    said = f"{option} {file}"
    place = next(above for above in file.absolute().parents if os.path.lexists(above))
    missing = file.absolute().relative_to(place).parts[:-1]
    if os.path.isdir(file):
        raise MedtlError(f"{said}: is a folder; give the file's own name, such as {file / example}")
    if not place.is_dir():
        raise MedtlError(f"{said}: {place} is a file, so nothing can be written below it; choose another place")
    try:
        for folder in missing:
            with contextlib.suppress(FileNotFoundError):
                os.lstat(place / folder)  # a name that is too long is known here
        handle, name = tempfile.mkstemp(dir=place, prefix=f".{file.name}.", suffix=UNFINISHED)
        os.close(handle)
        os.unlink(name)
    except OSError as error:
        raise MedtlError(f"{said}: cannot be written ({error.strerror}); choose another place or name") from None


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))  # type: ignore[arg-type]


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically; NaN and infinity are refused (ValueError)."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock while writing into it; a second writer is refused, a killed one leaves no lock behind.

    What a killed writer left unfinished, here and below, is removed: as nobody else writes here, it is nobody's.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise MedtlError(
                f"{folder} is being written by another medtl process; wait for it or choose another folder with --out"
            ) from None
        for unfinished in [*folder.rglob(f".*{UNFINISHED}")]:
            shutil.rmtree(unfinished) if unfinished.is_dir() else unfinished.unlink()
        yield


@contextlib.contextmanager
def claimed(file: Path, wait: bool = False) -> Iterator[bool]:
    """Whether this process alone holds the claim that `file` stands for, until the end of the block; a killed holder leaves none.

    wait: until it is free, which gives True.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError:
            yield False
            return
        yield True


@contextlib.contextmanager
def private_folder(prefix: str) -> Iterator[Path]:
    """A temporary folder of this process and user alone (mode 0700), removed at the end of the block.

    What killed processes left under the same prefix is removed first: a living owner holds a lock on its folder.
    """
    for earlier in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        with contextlib.suppress(OSError), _held(earlier):
            shutil.rmtree(earlier, ignore_errors=True)
    making = Path(tempfile.mkdtemp(prefix=f".{prefix}"))
    with _held(making):
        folder = making.rename(making.with_name(making.name.removeprefix(".")))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Lock one's own folder. Raises OSError where it is another user's, a link, or held by somebody else."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(descriptor).st_uid != os.getuid():
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def share(path: Path) -> None:
    """Give a file the mode that the umask allows: mkstemp and safetensors make 0600, which would hide a run from its readers."""
    mask = os.umask(0o077)  # it can only be read by setting it
    os.umask(mask)
    path.chmod(0o666 & ~mask)


def _flush(path: Path) -> None:
    """fsync a file, or a folder's entries."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
