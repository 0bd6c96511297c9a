"""The SHA-256 by which an image is known: of the file's bytes; of the array slice for NPZ."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from medtl.errors import ImageError
from medtl.imaging import arrays
from medtl.imaging.sources import Location, locate

_TOGETHER = 32
Key = tuple[str, int]
"""SHA-256 and frame: what a preprocessed image is stored under."""


@dataclass(frozen=True)
class Fingerprint:
    """Of one asked image; `sha256` is empty where there is nothing to hash, with a code and a reason."""

    sha256: str
    frame: int
    bytes: float
    """Of the file, or of the slice; NaN where unknown."""
    code: str = ""
    reason: str = ""

    @property
    def key(self) -> Key:
        return self.sha256, self.frame


def fingerprints(names: Sequence[tuple[str, int]], root: Path, largest_pixels: int) -> Iterator[Fingerprint]:
    """One for each (image, frame), in order. Computed anew each time (about 1 GB a second): dates and sizes of files can lie."""
    locations = [locate(root, image, frame) for image, frame in names]
    whole = list(dict.fromkeys(location.file for location in locations if not location.is_archive))
    batches = [whole[start : start + _TOGETHER] for start in range(0, len(whole), _TOGETHER)]  # a task costs more than a small file
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda batch: [_of_file(file) for file in batch], batches)
        files = dict(zip(whole, chain.from_iterable(found), strict=True))
    for (_, frame), location in zip(names, locations, strict=True):
        if location.is_archive:
            yield _of_slice(location, frame, largest_pixels)
        else:
            sha256, size = files[location.file]
            yield Fingerprint(sha256, frame, size) if sha256 else _absent(frame)


def _of_file(file: Path) -> tuple[str, float]:
    try:
        if not file.is_file():  # a pipe or a device would be read for ever
            return "", np.nan
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
            return digest, float(opened.tell())
    except OSError:
        return "", np.nan


def _of_slice(location: Location, frame: int, largest_pixels: int) -> Fingerprint:
    try:
        data = arrays.rows(location, largest_pixels).bytes_of(location.frame or 0)
    except ImageError as error:
        return Fingerprint("", frame, np.nan, error.code, error.reason)
    except OSError:
        return _absent(frame)
    return Fingerprint(hashlib.sha256(data).hexdigest(), frame, float(len(data)))


def _absent(frame: int) -> Fingerprint:
    return Fingerprint("", frame, np.nan, "NOT_FOUND", "does not exist or cannot be read")
