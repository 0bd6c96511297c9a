"""Zip and npz files of strangers, read under caps."""

from __future__ import annotations

import errno
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np

MOST_MEMBERS = 10_000
LARGEST_MEMBER = 512 * 2**20
LARGEST_TOTAL = 4 * 2**30
"""Bytes unpacked from one archive."""
HIGHEST_RATIO = 200
"""Of unpacked to packed size, judged from 1 MiB on (an empty image packs well, but no radiograph packs like this)."""
MOST_NPZ_IMAGES = 1_000_000
LARGEST_DIRECTORY = 8 * 2**20
"""Bytes of an archive's list of members, which is read as a whole before anything can be counted; `MOST_MEMBERS` long names fit."""

_ARCHIVES = (".zip", ".npz", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".7z", ".rar", ".jar")
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # LZMA takes as much memory as its header says
_DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError, LookupError, OverflowError, OSError)
_FULL_DISK = (errno.ENOSPC, errno.EDQUOT)
_CHUNK = 2**20
_ENDING = re.compile(r"(?i)(\.nii\.gz|\.(?:nii|dcm|dicom|ima|png|jpe?g|jp2|j2k|tiff?|bmp|webp|gif|hei[cf]|npy|csv|tsv|txt))$")
_RATIO_FROM = 2**20


class BrokenArchive(Exception):
    """An archive, or one member, cannot be read; the message is the reason for a table."""


@contextmanager
def _reading(failure: str) -> Iterator[None]:
    """Whatever damage makes zipfile and NumPy raise becomes a BrokenArchive; a full disk stays what it is."""
    try:
        yield
    except _DAMAGE as error:
        if isinstance(error, OSError) and error.errno in _FULL_DISK:
            raise
        raise BrokenArchive(f"{failure} ({type(error).__name__})") from None


def opened(archive: Path) -> zipfile.ZipFile:
    """The archive, once its list of members is known to be of a bearable size. Raises BrokenArchive."""
    with _reading("the archive cannot be opened"):
        with archive.open("rb") as file:
            end = zipfile._EndRecData(file)  # type: ignore[attr-defined]  # private, but what zipfile itself goes by in the next step
        if end and end[zipfile._ECD_SIZE] > LARGEST_DIRECTORY:  # type: ignore[attr-defined]
            raise BrokenArchive(f"the archive's list of members is larger than {LARGEST_DIRECTORY >> 20} MiB; split it")
        return zipfile.ZipFile(archive)


def member_of_npz(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> IO[bytes]:
    """A stream of an npz file's array; raises BrokenArchive where it is packed as NumPy never does, which could take any memory."""
    if info.compress_type not in _PACKINGS:
        raise BrokenArchive("an array of the npz file is packed in a rare way; save it anew with numpy.savez_compressed")
    return archive.open(info)


@dataclass(frozen=True)
class Member:
    """A file of a zip: unpacked at `file`, or None and the `reason`."""

    name: str
    file: Path | None
    reason: str = ""


def zip_members(archive: Path, place: Path, wanted: Callable[[str], bool] | None = None) -> Iterator[Member]:
    """Stream every member of `archive` into `place` under a numbered name, or say why not; folders and hidden files are passed over.

    wanted: by its name, whether a member is asked for; the others are passed over too. Raises BrokenArchive where the archive as a whole
    cannot be read.
    """
    with opened(archive) as whole:
        infos = [info for info in whole.infolist() if not info.is_dir() and not _hidden(info.filename)]
        if len(infos) > MOST_MEMBERS:
            yield Member(f"({len(infos)} members)", None, f"the archive holds more than {MOST_MEMBERS} files; split it [TOO_LARGE]")
            return
        left, seen = LARGEST_TOTAL, set[str]()
        for number, info in enumerate(infos):
            name = info.filename.replace("\\", "/")
            reason = _refusal(info, name, left) or ("this name stands twice in the archive [NOT_AN_IMAGE]" if name in seen else "")
            seen.add(name)
            if wanted is not None and not wanted(name):
                continue
            target = place / f"{number:06d}{_suffix(name)}"
            reason = reason or _unpack(whole, info, target)
            left -= target.stat().st_size if target.exists() else 0
            yield Member(_shown(name, number), None if reason else target, reason)


def member_names(archive: Path) -> list[str]:
    """What :func:`zip_members` will call them; without names that it would not repeat. Raises BrokenArchive."""
    with opened(archive) as whole:
        infos = [info for info in whole.infolist() if not info.is_dir() and not _hidden(info.filename)]
    if len(infos) > MOST_MEMBERS:
        raise BrokenArchive(f"the archive holds more than {MOST_MEMBERS} files; split it")
    names = [info.filename.replace("\\", "/") for info in infos]
    return [name for number, name in enumerate(names) if _shown(name, number) == name]


def members(archive: Path) -> int:
    """How many files :func:`zip_members` will give; 1 for an archive that cannot be read, whose one answer says so."""
    try:
        with opened(archive) as whole:
            return max(1, sum(not info.is_dir() and not _hidden(info.filename) for info in whole.infolist()))
    except (BrokenArchive, *_DAMAGE):
        return 1


def _hidden(name: str) -> bool:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return "__MACOSX" in parts or (bool(parts) and parts[-1].startswith(".") and parts[-1] != "..")


def _shown(name: str, number: int) -> str:
    """A name that leads out of the archive, or that a terminal would obey rather than show, is not repeated: its position stands for it."""
    harmless = name.isprintable() and ".." not in PurePosixPath(name).parts and not _absolute(name)
    return name if harmless else f"(member {number})"


def _absolute(name: str) -> bool:
    return name.startswith("/") or re.match(r"^[A-Za-z]:", name) is not None


def _refusal(info: zipfile.ZipInfo, name: str, left: int) -> str:
    """Why a member is not even unpacked, judged by its entry alone."""
    if _absolute(name) or ".." in PurePosixPath(name).parts:
        return "its name leads out of the archive [NOT_AN_IMAGE]"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "is a link, not a file [NOT_AN_IMAGE]"
    if info.flag_bits & 0x1:
        return "is encrypted; unpack it with its password first [UNSUPPORTED]"
    if name.lower().endswith(_ARCHIVES) and not name.lower().endswith(".nii.gz"):
        return "an archive inside an archive is not opened; hand it over by itself [UNSUPPORTED]"
    if info.compress_type not in _PACKINGS:
        return "is packed in a rare way; pack it anew with deflate [UNSUPPORTED]"
    if info.file_size > min(LARGEST_MEMBER, left):
        return f"is larger than may be unpacked ({LARGEST_MEMBER >> 20} MiB a file, {LARGEST_TOTAL >> 30} GiB an archive) [TOO_LARGE]"
    if info.file_size > _RATIO_FROM and info.file_size > HIGHEST_RATIO * max(info.compress_size, 1):
        return f"unpacks to more than {HIGHEST_RATIO} times its size [TOO_LARGE]"
    return ""


def _unpack(whole: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path) -> str:
    """Copy a member's bytes, at most as many as its entry promised; '' or the reason why it could not be done."""
    try:
        with _reading("cannot be unpacked"), whole.open(info) as source, target.open("xb") as out:
            reason = _copy(source, out, info.file_size)
    except BrokenArchive as broken:
        reason = f"{broken} [DECODE_FAILED]"
    if reason:
        target.unlink(missing_ok=True)
    return reason


def _copy(source: IO[bytes], out: IO[bytes], promised: int) -> str:
    done = 0
    while chunk := source.read(_CHUNK):
        if not done and chunk.startswith(b"PK\x03\x04"):
            return "an archive inside an archive is not opened; hand it over by itself [UNSUPPORTED]"
        done += len(chunk)
        if done > promised:
            return "unpacks to more than its entry says [TOO_LARGE]"
        out.write(chunk)
    return ""


def _suffix(name: str) -> str:
    """The ending that readers and people go by; any other could be a part of a name."""
    found = _ENDING.search(name)
    return found.group(1).lower() if found else ""


def npz_images(file: Path) -> dict[str, int]:
    """Arrays of images (see :func:`as_stack`) in an npz file and how many each holds; headers are read, no array is loaded.

    Raises BrokenArchive where the file is no npz file, or claims more than a million images.
    """
    found: dict[str, int] = {}
    with _reading("the npz file cannot be opened"), opened(file) as whole:
        for info in whole.infolist():
            if not info.filename.endswith(".npy"):
                continue
            with member_of_npz(whole, info) as array:
                shape, dtype = _header(array)
            shape = as_stack(shape)
            if _are_images(shape, dtype):
                found[info.filename.removesuffix(".npy")] = shape[0]
    if sum(found.values()) > MOST_NPZ_IMAGES:
        raise BrokenArchive(f"the npz file claims more than {MOST_NPZ_IMAGES:,} images")
    return found


def as_stack(shape: tuple[int, ...]) -> tuple[int, ...]:
    """An array's shape as a stack of images, (N, H, W) or (N, H, W, C); (H, W, 3) and (H, W, 4) are one picture in colour.

    >>> as_stack((48, 64, 3)), as_stack((48, 64, 64))
    ((1, 48, 64, 3), (48, 64, 64))
    """
    return (1, *shape) if len(shape) == 3 and shape[2] in (3, 4) else shape


def _header(array: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    version = np.lib.format.read_magic(array)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(array)
    return shape, dtype


def _are_images(shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> bool:
    grey = len(shape) == 3
    colour = len(shape) == 4 and shape[3] in (1, 3, 4)
    return (grey or colour) and min(shape[1:3]) >= 2 and dtype.kind in "uifb"
