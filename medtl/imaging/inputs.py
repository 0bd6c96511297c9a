"""What a user hands over for prediction (files, folders, zips, npz) as a flat list of images, nothing lost on the way.

Archives come from strangers: members are streamed one by one into a private folder under numbered names (never extracted by their
own names), bounded in count, size and compression ratio. A member that is refused stays in the list with its reason.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from medtl.errors import MedtlError, listed
from medtl.files import private_folder
from medtl.imaging.unpacking import BrokenArchive, npz_images, zip_members


@dataclass(frozen=True)
class Input:
    """One image to be answered for."""

    image: str
    """Its name in the predictions table: relative to the folder asked, or as given; `archive.zip/member`, `set.npz/array`."""
    frame: int
    file: Path | None
    """Where the bytes are; None where `reason` says why there are none."""
    member: str = ""
    """The array's name in an npz file."""
    reason: str = ""

    @property
    def path(self) -> Path:
        """As `medtl.imaging.decoding` takes it."""
        assert self.file is not None
        return self.file / self.member


@contextmanager
def gathered(paths: Sequence[Path]) -> Iterator[list[Input]]:
    """All images of the given files and folders; zips are unpacked into a temporary folder that ends with the block.

    Raises MedtlError where a path does not exist or no file at all is found.
    """
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise MedtlError(f"no such file or folder: {listed(missing, most=5)}")
    with private_folder("medtl-predict-") as place:
        alone, seen = len(paths) == 1, set[Path]()
        inputs = [each for path in paths for each in _of_path(path, alone, place, seen)]
        if not inputs:
            raise MedtlError(f"{listed(paths, most=5)}: holds no files")
        yield inputs


def _of_path(path: Path, alone: bool, place: Path, seen: set[Path]) -> Iterator[Input]:
    """`seen`: the files so far, added to. One that is given twice, or lies in a folder given too, is one; an archive's members are not
    compared, for a name that stands there twice has two rows."""
    disc = path.name.upper() == "DICOMDIR" and path.is_file()
    found = _files_of_disc(path) if disc else _files_below(path) if path.is_dir() else [(path, "")]
    for file, reason in found:
        if file in seen:
            continue
        seen.add(file)
        name = _writable(file.relative_to(path.parent if disc else path) if alone and file != path else file)
        yield from [Input(name, 0, None, reason=reason)] if reason else of_file(file, name, place)


def _writable(path: Path) -> str:
    """A name for a UTF-8 table; the bytes of a name that is none (an old disc's) are spelt out, such as `M\\xfcller.png`."""
    return os.fsencode(path.as_posix()).decode("utf-8", errors="backslashreplace")


def _files_of_disc(directory: Path) -> Iterator[tuple[Path, str]]:
    """The images that the table of contents of a CD lists, each with the reason why it cannot be read, or an empty one."""
    from medtl.imaging.dicom_directory import images_listed

    for file in images_listed(directory):
        yield file, "" if file.is_file() else "the DICOMDIR lists it, but it is not there [NOT_FOUND]"


def _files_below(folder: Path) -> Iterator[tuple[Path, str]]:
    """Every file but hidden ones, sorted, and every folder that cannot be listed, with the reason. Links to folders are followed, each
    folder once (they can lead round in circles), as in training."""
    seen: set[str] = set()
    closed: list[OSError] = []
    for at, folders, files in os.walk(folder, onerror=closed.append, followlinks=True):
        yield from _refused(closed)
        real = os.path.realpath(at)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__MACOSX")
        yield from ((Path(at) / name, "") for name in sorted(files) if not name.startswith("."))
    yield from _refused(closed)


def _refused(closed: list[OSError]) -> Iterator[tuple[Path, str]]:
    """The folders that could not be listed since the last time; without them all below would be missing unsaid."""
    for error in closed:
        yield Path(error.filename), f"the folder cannot be listed ({error.strerror or type(error).__name__}) [NOT_FOUND]"
    closed.clear()


def of_file(file: Path, name: str, place: Path) -> Iterable[Input]:
    """The images of one file, one after the other: a zip's members are unpacked into `place` only as they are asked for."""
    suffix = file.suffix.lower()
    if suffix == ".zip":
        return _of_zip(file, name, place)
    if suffix == ".npz":
        return _of_npz(file, name)
    return [Input(name, 0, file)]


def _of_zip(file: Path, name: str, place: Path) -> Iterator[Input]:
    own = Path(tempfile.mkdtemp(dir=place))
    found = False
    try:
        for member in zip_members(file, own):
            found = True
            yield Input(f"{name}/{member.name}", 0, member.file, reason=member.reason)
    except BrokenArchive as broken:
        yield Input(name, 0, None, reason=f"{broken} [NOT_AN_IMAGE]")
    else:
        if not found:
            yield Input(name, 0, None, reason="the archive is empty [NOT_AN_IMAGE]")


def _of_npz(file: Path, name: str) -> Iterator[Input]:
    try:
        arrays = npz_images(file)
    except BrokenArchive as broken:
        yield Input(name, 0, None, reason=f"{broken} [NOT_AN_IMAGE]")
        return
    if not arrays:
        yield Input(name, 0, None, reason="the npz file holds no array of images [NOT_AN_IMAGE]")
    for member, count in arrays.items():
        yield from (Input(f"{name}/{member}", frame, file, member) for frame in range(count))
