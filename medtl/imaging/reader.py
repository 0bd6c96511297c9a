"""The one reader: any image file or array row → upright pixels in [0, 1] with a receipt. Formats are told by content, not by name.

It decodes in this process. Bytes of unknown origin belong into :mod:`medtl.imaging.decoding`, which calls this in processes of its own.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medtl.errors import ImageError
from medtl.imaging import arrays, dicom, nifti, pictures
from medtl.imaging.image import Encoded, Image
from medtl.imaging.settings import NAMED, ImageSettings, Volume
from medtl.imaging.sources import Location, parse

if TYPE_CHECKING:
    from medtl.imaging.monai_reader import MedtlReader as MedtlReader

LARGEST_PIXELS: int = ImageSettings().largest_pixels
_BYTES_PER_PIXEL, _BYTES_BESIDE = 8, 64 << 20
_ZIP = b"PK\x03\x04"


def __getattr__(name: str) -> Any:
    """`MedtlReader` on first use: it needs MONAI, which costs seconds to import and which reading does without."""
    if name != "MedtlReader":
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    from medtl.imaging.monai_reader import MedtlReader

    return MedtlReader


def read_image(
    path: str | Path,
    frame: int | None = None,
    *,
    largest_pixels: int = LARGEST_PIXELS,
    volume: Volume = NAMED,
    at_least: int | None = None,
) -> Image:
    """Read one image: DICOM, NIfTI, PNG, JPEG, TIFF, BMP, WebP, HEIC, GIF, or a row of an NPZ array.

    Arguments:
        path: a file or an address inside one, such as `set.npz/train_images` or `set.npz/train_images/12`.
        frame: which image of a file that holds several (frame, page, slice, row), counted from 0; None: it must hold one.
        largest_pixels: refuse files whose header claims more.
        volume: what is shown of a volume, such as `Volume(show="mean", plane="coronal")`; by default one needs a frame.
        at_least: JPEG 2000 and JPEG may be decoded without their finest detail, as long as both sides keep so many pixels.
    Returns:
        float32 (C, H, W) in [0, 1], upright as displayed, with its receipt; C = 3, or 1 where there is no colour, however it is stored.
    Raises:
        ImageError: with one of the codes listed there.
    """
    location = parse(path)
    if frame is not None:
        if frame < 0:
            raise ImageError("NOT_FOUND", str(path), f"frame {frame} was asked for; frames are counted from 0")
        location = Location(location.file, location.member, frame)
    return read_location(location, largest_pixels, volume, at_least)


def read_location(location: Location, largest_pixels: int = LARGEST_PIXELS, volume: Volume = NAMED, at_least: int | None = None) -> Image:
    """:func:`read_image` for a location."""
    if not location.file.is_file():
        raise ImageError("NOT_FOUND", str(location.file), "is a folder" if location.file.is_dir() else "does not exist")
    try:
        if location.is_archive:
            return arrays.read(location, largest_pixels).without_empty_colour()
        return _read_file(location, largest_pixels, volume, at_least).without_empty_colour()
    except OSError as error:
        raise ImageError("NOT_FOUND", str(location.file), f"cannot be read from disk ({error.strerror or type(error).__name__})") from None
    except MemoryError:
        raise ImageError("TOO_LARGE", str(location.file), "decoding it needs more memory than one image may take") from None


def _read_file(location: Location, largest_pixels: int, volume: Volume, at_least: int | None) -> Image:
    most = _BYTES_PER_PIXEL * largest_pixels + _BYTES_BESIDE
    if location.member:
        raise ImageError("NOT_FOUND", location.address, f"'{location.file.name}' is no archive with members")
    with location.file.open("rb") as file:
        data = file.read(most + 1) if os.fstat(file.fileno()).st_size <= most else None
    if data is None or len(data) > most:
        raise ImageError("TOO_LARGE", str(location.file), f"has more than {most} bytes, which no image of image.largest_pixels needs")
    if not data:
        raise ImageError("NOT_AN_IMAGE", str(location.file), "is empty")
    encoded = Encoded(str(location.file), data, hashlib.sha256(data).hexdigest(), location.frame, largest_pixels, volume, at_least)
    return _decode(encoded)


def _decode(encoded: Encoded) -> Image:
    """Hand the bytes to the format that they begin like."""
    if encoded.data.startswith(_ZIP):
        raise encoded.refused("NOT_AN_IMAGE", "is a zip archive; unpack it, or hand it to `medtl predict` under a name that ends in .zip")
    read: Callable[[Encoded], Image] = pictures.read
    for candidate in (dicom, nifti):
        if candidate.begins_like(encoded.data):
            read = candidate.read
    try:
        return read(encoded)
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # libraries read headers lazily, so a broken one may show anywhere
        raise encoded.refused("DECODE_FAILED", f"its contents contradict themselves ({type(error).__name__})") from None
