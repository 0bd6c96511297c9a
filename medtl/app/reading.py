"""One uploaded file, read once in an isolated process: as the network sees it, and as a person looks at it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medtl.cohorts.headers import read_facts
from medtl.cohorts.ids import header_id, installation_key, keyed_hash, unit_of
from medtl.errors import MedtlError
from medtl.imaging.decoding import decode_with_views
from medtl.imaging.settings import ImageSettings
from medtl.imaging.unpacking import BrokenArchive, npz_images
from medtl.imaging.viewing import View

LARGEST_SHOWN = 1536
"""Long side of the picture shown, in pixels: a radiograph is shown smaller."""

Decoded = tuple[NDArray[np.uint8], Mapping[str, Any], View]
"""Pixels (S, S, C), their measurements row, the image for the eye."""
_SEVERAL = re.compile(r"(?:holds|is a volume of) (\d+) (images|frames|slices) and none was chosen")


class Unreadable(MedtlError):
    """The upload cannot be read as one image; the reason is a sentence for the person who uploaded it."""


@dataclass(frozen=True)
class Reading:
    """One image of a file."""

    pixels: NDArray[np.uint8]
    """(S, S, C) as the network sees it."""
    view: View
    """Upright and whole, for the eye."""
    measurement: Mapping[str, Any]
    """A measurements row without its key."""
    number: int
    """Which image of the file, counted from 1 …"""
    count: int
    """… of how many."""
    patient_id: str = ""
    """Where a copy was asked for: the installation's keyed hash of the patient, or study, in the header. The id itself is not kept."""

    @property
    def picture(self) -> NDArray[np.uint8]:
        """RGB (h, w, 3), upright and whole, as the reader shows it."""
        return self.view.as_read()

    @property
    def across(self) -> float | None:
        """Millimetres from the left edge to the right; None where the file does not say how large its pixels are."""
        spacing = str(self.measurement["spacing"]).split()
        return float(spacing[1]) * self.original[1] if len(spacing) == 2 else None

    @property
    def original(self) -> tuple[int, int]:
        """Height and width of the image in its file, upright."""
        return int(self.measurement["height"]), int(self.measurement["width"])


def read(file: Path, number: int | None, settings: ImageSettings, longest: int = LARGEST_SHOWN, *, copy: bool = False) -> Reading:
    """Read one image.

    Arguments:
        file: an image file of any kind that :func:`medtl.read_image` takes.
        number: which image of a file that holds several, from 1; None: the middle slice of a volume, else the first.
        settings: the model's.
        longest: side of the image for the eye, in pixels; a small one is read faster where `settings` allow it (`decode: reduced`).
        copy: with a copy of the whole image (:attr:`medtl.imaging.viewing.View.copy`), and :attr:`Reading.patient_id`.
    Raises:
        Unreadable: no image, broken, too large, no such number.
    """
    number, count, (pixels, measurement, view) = _found(file, number, settings, longest, copy)
    return Reading(pixels, view, measurement, number, count, _patient_of(file) if copy else "")


def _patient_of(file: Path) -> str:
    facts = read_facts(file)
    unit = unit_of("patient", "", header_id("patient", facts)) if facts else ""
    return keyed_hash(installation_key(), unit) if unit else ""


def _found(file: Path, number: int | None, settings: ImageSettings, longest: int, copy: bool) -> tuple[int, int, Decoded]:
    """The wanted image's number, how many the file holds, and the image."""
    if file.suffix.lower() == ".npz":
        address, chosen, count = _address_in_arrays(file, number)
        return chosen, count, _usable(*_decoded(address, settings, longest, copy))
    pixels, measurement, view = _decoded(file, settings, longest, copy)
    several = _SEVERAL.search(str(measurement["reason"])) if measurement["quarantine"] == "MULTI_FRAME" else None
    if several is None:  # the usual file is not decoded twice, and one that hangs does not hang twice
        found = _usable(pixels, measurement, view)
        return _in_range(number or 1, 1), 1, found
    count, kind = int(several[1]), several[2]
    chosen = _in_range(number or (count // 2 + 1 if kind == "slices" else 1), count)
    return chosen, count, _usable(*_decoded(file / str(chosen - 1), settings, longest, copy))


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
        if count == 1:
            raise Unreadable(f"the file holds one image and number {number:,} was asked for; ask without a number, or for 1")
        raise Unreadable(f"the file holds {count:,} images and number {number:,} was asked for; choose one from 1 to {count:,}")
    return number


def _decoded(
    address: Path, settings: ImageSettings, longest: int, copy: bool
) -> tuple[NDArray[np.uint8] | None, Mapping[str, Any], View | None]:
    """One image by its address (see `medtl.imaging.sources`)."""
    (_, pixels, measurement), view = next(decode_with_views([(address, 0)], settings, longest, 1, copy))
    return pixels, measurement, view


def _usable(pixels: NDArray[np.uint8] | None, measurement: Mapping[str, Any], view: View | None) -> Decoded:
    if pixels is None or view is None:
        raise Unreadable(str(measurement["reason"]))
    return pixels, measurement, view
