"""An image as every part of medtl sees it, with the receipt of how it was read."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from medtl.errors import ImageError
from medtl.imaging.settings import NAMED, Volume


@dataclass(frozen=True)
class Facts:
    """What a header says about the picture; of the person nothing but the age. Empty = not said."""

    modality: str = ""
    body_part: str = ""
    view: str = ""
    laterality: str = ""
    spacing: tuple[float, float] | None = None
    """Millimetres between rows, between columns."""
    spacing_from: str = ""
    """The header field: PixelSpacing, ImagerPixelSpacing (detector plane, so magnified) …"""
    device: str = ""
    """Maker and model of the machine."""
    age: str = ""
    """Of the person, in years: for what a model declares as its scope. Never written beside the picture's facts."""


def device_of(maker: object, model: object) -> str:
    """`Maker Model` out of two header fields; letters, digits and `_./+()-` only, for the fields may hold anything.

    >>> device_of("ACME Imaging ", "ACME DX-2"), device_of(None, "X1"), device_of("", None)
    ('ACME Imaging DX-2', 'X1', '')
    """
    words = [re.sub(r"[^\w./+()-]+", " ", str(part or "")).split() for part in (maker, model)]
    own = words[1][1:] if words[0] and words[1][:1] == words[0][:1] else words[1]
    return " ".join([*words[0], *own])[:64].strip()


@dataclass(frozen=True)
class Receipt:
    """How stored bytes became [0, 1] pixels: enough to explain, or to doubt, a picture."""

    format: str
    """PNG, JPEG, TIFF … , DICOM, NIfTI, NPZ."""
    sha256: str
    """Of the file's bytes; of the array slice for NPZ."""
    bytes: int
    frame: int
    orientation: str
    """What was done to make it upright: `as stored`, `EXIF 6`, `affine RAS` …"""
    intensity: str
    """What decided 0 and 1: `range of 8 bits`, `window LINEAR`, `VOI LUT sequence`, `minimum … maximum` …"""
    bits: int
    photometric: str
    inverted: bool = False
    finite: bool = True
    """Every pixel was checked to be finite (an image that is not finite is refused)."""
    notes: tuple[str, ...] = ()
    facts: Facts = field(default_factory=Facts)
    full_size: tuple[int, int] | None = None
    """Height and width in the file, where fewer pixels were decoded than it holds (`Encoded.at_least`)."""
    origin: str = ""
    """What took the picture, by its own data: see :func:`medtl.imaging.origins.origin_of`. Empty = not told."""
    encoding: str = ""
    """How the pixels were compressed, as far as the format tells: `JPEG 4:2:0 quality 90`, a DICOM transfer syntax … Empty = not told."""


@dataclass(frozen=True, eq=False)
class LookUp:
    """Grey pixels as they are stored, and what each stored value shows: float pixels of a large image cost more than all the rest."""

    stored: NDArray[np.uint8] | NDArray[np.uint16]
    """(H, W): positions in the table; signed values as their bits."""
    table: NDArray[np.float32]
    """(256,) or (65536,) in [0, 1]."""


@dataclass(frozen=True)
class Window:
    """What a display makes black to white: the values around `centre`, `width` of them, along a `curve` (DICOM's VOI LUT function)."""

    centre: float
    width: float
    curve: str = "LINEAR"


@dataclass(frozen=True, eq=False)
class Values:
    """What the pixels measured, before any window: for the eye, which may want another one."""

    of: NDArray[np.float64]
    """Of every stored word from `first` on; or (H, W), of every pixel, where `first` is None."""
    first: int | None
    windows: tuple[Window, ...] = ()
    """Those of the header, in its order."""
    unit: str = ""
    """`HU`, where the header says so."""


class Image:
    """Upright pixels and their receipt."""

    receipt: Receipt
    values: Values | None
    """Where the file says more of its pixels than what a display shows."""

    def __init__(self, pixels: NDArray[np.float32] | LookUp, receipt: Receipt, values: Values | None = None):
        self.receipt = receipt
        self.values = values
        self._given = pixels

    @property
    def given(self) -> NDArray[np.float32] | LookUp:
        """The pixels as they were handed over."""
        return self._given

    @cached_property
    def pixels(self) -> NDArray[np.float32]:
        """(C, H, W) in [0, 1], C = 1 (grey, 0 is black) or 3 (RGB)."""
        if isinstance(self._given, LookUp):
            return np.asarray(cv2.LUT(self._given.stored, self._given.table))[None]
        return self._given

    @cached_property
    def sixteen_bits(self) -> NDArray[np.uint16]:
        """(H, W) or (H, W, 3), [0, 1] rounded to 0 … 65535; exact for pixels that were stored with 8 or 16 bits."""
        if isinstance(self._given, LookUp):
            stored, table = self._given.stored, sixteen_bits(self._given.table)
            factor = np.uint16(65535 // (len(table) - 1))
            if np.array_equal(table, np.arange(len(table)) * factor):  # shown as stored: multiplied in half the time of looking up
                return np.multiply(stored, factor, dtype=np.uint16)
            return np.asarray(cv2.LUT(stored, table))
        planes = sixteen_bits(self._given)
        return planes[0] if len(planes) == 1 else np.ascontiguousarray(planes.transpose(1, 2, 0))

    def without_empty_colour(self) -> Image:
        """With one channel where the three are equal, so that a grey picture is the same however it was stored."""
        if isinstance(self._given, LookUp):
            return self
        first, *others = self._given
        if others and all(np.array_equal(first, other) for other in others):
            return Image(np.ascontiguousarray(first[None]), self.receipt)
        return self

    @property
    def size(self) -> tuple[int, int]:
        """Height, width."""
        height, width = (self._given.stored if isinstance(self._given, LookUp) else self._given[0]).shape
        return height, width


def sixteen_bits(pixels: NDArray[np.float32]) -> NDArray[np.uint16]:
    """[0, 1] rounded to 0 … 65535, in the same shape."""
    flat = np.ascontiguousarray(pixels).reshape(1, -1)
    return np.asarray(cv2.addWeighted(flat, 65535, flat, 0, 0, dtype=cv2.CV_16U), dtype=np.uint16).reshape(pixels.shape)


def in_bytes(planes: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """0 … 65535 rounded to 0 … 255, in the same shape."""
    return ((planes.astype(np.uint32) + 128) // 257).astype(np.uint8)


@dataclass(frozen=True)
class Encoded:
    """The bytes of one file and what is asked of them; what every format's `read` takes."""

    name: str
    """For messages: the path as the user gave it."""
    data: bytes
    sha256: str
    frame: int | None
    """None: the file must hold one image only."""
    largest_pixels: int
    volume: Volume = NAMED
    at_least: int | None = None
    """The decoder may leave out detail as long as both sides keep this many pixels; None: every pixel is wanted."""

    def refused(self, code: str, reason: str) -> ImageError:
        """The error to raise about this file."""
        return ImageError(code, self.name, reason)

    def check_size(self, height: int, width: int, others: int = 1) -> None:
        """Raise TOO_LARGE before anything is decoded, where the header claims more pixels than the cap."""
        if height * width * others > self.largest_pixels:
            claim = f"{height} x {width}" + (f" x {others}" if others > 1 else "")
            raise self.refused("TOO_LARGE", f"the header claims {claim} pixels; allowed are {self.largest_pixels} (image.largest_pixels)")
        if height < 1 or width < 1:
            raise self.refused("BAD_HEADER", f"the header claims {height} x {width} pixels")
