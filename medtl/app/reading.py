"""One uploaded file, read twice in an isolated process: as the network sees it, and larger, as a person looks at it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medtl.errors import MedtlError
from medtl.explanation.placement import filled
from medtl.imaging.decoding import decode_many
from medtl.imaging.settings import ImageSettings
from medtl.imaging.unpacking import BrokenArchive, npz_images

LARGEST_SHOWN, SMALLEST_SHOWN = 1024, 256
"""Long side of the picture shown, in pixels: a radiograph is shown smaller, a thumbnail enlarged."""

Decoded = tuple[NDArray[np.uint8], Mapping[str, Any]]
"""Pixels (S, S, C) and their measurements row."""
_SEVERAL = re.compile(r"(?:holds|is a volume of) (\d+) (images|frames|slices) and none was chosen")


class Unreadable(MedtlError):
    """The upload cannot be read as one image; the reason is a sentence for the person who uploaded it."""


@dataclass(frozen=True)
class Reading:
    """One image of a file."""

    pixels: NDArray[np.uint8]
    """(S, S, C) as the network sees it."""
    picture: NDArray[np.uint8]
    """RGB (h, w, 3), upright and whole, for the eye."""
    measurement: Mapping[str, Any]
    """A measurements row without its key."""
    number: int
    """Which image of the file, counted from 1 …"""
    count: int
    """… of how many."""

    @property
    def original(self) -> tuple[int, int]:
        """Height and width of the image in its file, upright."""
        return int(self.measurement["height"]), int(self.measurement["width"])


def read(file: Path, number: int | None, settings: ImageSettings) -> Reading:
    """Read one image.

    Arguments:
        file: an image file of any kind that :func:`medtl.read_image` takes.
        number: which image of a file that holds several, from 1; None: the middle slice of a volume, else the first.
        settings: the model's.
    Raises:
        Unreadable: no image, broken, too large, no such number.
    """
    address, number, count, (pixels, measurement) = _found(file, number, settings)
    longest = int(max(measurement["height"], measurement["width"]))
    eye = settings.model_copy(
        update={"size": min(max(longest, SMALLEST_SHOWN), LARGEST_SHOWN), "fit": "pad", "channels": 3, "intensity": "as-read"}
    )
    square, _ = _decode(address, eye)
    box = filled((int(measurement["height"]), int(measurement["width"])), eye)
    return Reading(pixels, square[box.top : box.bottom, box.left : box.right], measurement, number, count)


def _found(file: Path, number: int | None, settings: ImageSettings) -> tuple[Path, int, int, Decoded]:
    """Where the wanted image lies (see `medtl.imaging.sources`), its number, how many there are, and what the network sees."""
    if file.suffix.lower() == ".npz":
        address, chosen, count = _address_in_arrays(file, number)
        return address, chosen, count, _decode(address, settings)
    _, pixels, measurement = next(decode_many([(file, 0)], settings, processes=1))
    several = _SEVERAL.search(str(measurement["reason"])) if measurement["quarantine"] == "MULTI_FRAME" else None
    if several is None:  # the usual file is not decoded twice, and one that hangs does not hang twice
        return file, 1, 1, _usable(pixels, measurement)
    count, kind = int(several[1]), several[2]
    chosen = _in_range(number or (count // 2 + 1 if kind == "slices" else 1), count)
    address = file / str(chosen - 1)
    return address, chosen, count, _decode(address, settings)


def _address_in_arrays(file: Path, number: int | None) -> tuple[Path, int, int]:
    try:
        arrays = npz_images(file)
    except BrokenArchive as broken:
        raise Unreadable(str(broken)) from None
    if not any(arrays.values()):
        raise Unreadable("the npz file holds no array of images")
    count = sum(arrays.values())
    chosen = _in_range(number or 1, count)
    row = chosen - 1
    for member, held in arrays.items():
        if row < held:
            return file / member / str(row), chosen, count
        row -= held
    raise AssertionError("unreachable: the number is in range")


def _in_range(number: int, count: int) -> int:
    if not 1 <= number <= count:
        raise Unreadable(f"the file holds {count:,} images and number {number:,} was asked for; choose one from 1 to {count:,}")
    return number


def _decode(address: Path, settings: ImageSettings) -> Decoded:
    _, pixels, measurement = next(decode_many([(address, 0)], settings, processes=1))
    return _usable(pixels, measurement)


def _usable(pixels: NDArray[np.uint8] | None, measurement: Mapping[str, Any]) -> Decoded:
    if pixels is None:
        raise Unreadable(str(measurement["reason"]))
    return pixels, measurement
