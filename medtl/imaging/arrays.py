"""NPZ arrays (MedMNIST and the like): one row of an array, read without unpacking the array.

A member is a stack of images, (N, H, W) or (N, H, W, 3), uint8, uint16 or floating point in [0, 1]; (H, W, 3) is a stack of one. Rows are
streamed out of the file, so memory does not grow with N; reading them in ascending order (as the store does) unpacks the member once.
"""

from __future__ import annotations

import contextlib
import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from medtl.errors import ImageError
from medtl.imaging.image import Image, Receipt
from medtl.imaging.sources import Location
from medtl.imaging.unpacking import BrokenArchive, as_stack, member_of_npz, opened

_BLOCK = 1 << 20
_OPEN_AT_ONCE = 4


class Rows:
    """Rows of one member, by position; reads forward and starts again when asked to go back."""

    def __init__(self, location: Location, largest_pixels: int):
        self._location = location
        self._stamp = _stamp(location.file)
        self._stream: IO[bytes] | None = None
        self._next = 0
        with contextlib.ExitStack() as closing:  # unless nothing is refused
            try:
                self._archive = closing.enter_context(opened(location.file))
                if f"{location.member}.npy" not in self._archive.namelist():
                    held = ", ".join(sorted(name.removesuffix(".npy") for name in self._archive.namelist()))
                    raise self._refused("NOT_FOUND", f"has no array '{location.member}'; it holds: {held}")
                with member_of_npz(self._archive, self._archive.getinfo(f"{location.member}.npy")) as stream:
                    held_shape, fortran, self.dtype = _header(stream)
            except BrokenArchive as broken:
                raise self._refused("NOT_AN_IMAGE", str(broken)) from None
            except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError, RuntimeError) as error:
                raise self._refused("NOT_AN_IMAGE", f"is no readable NPZ file ({type(error).__name__})") from None
            shape = self._check(held_shape, fortran, largest_pixels)
            closing.pop_all()
        self.count = int(shape[0])
        self.shape = tuple(int(side) for side in shape[1:])
        self._row_bytes = int(np.prod(self.shape)) * self.dtype.itemsize

    def close(self) -> None:
        """Let go of the file; no row can be read any more."""
        if self._stream is not None:
            self._stream.close()
        self._archive.close()

    def current(self) -> bool:
        """Whether the file is still the one that was opened."""
        return self._stamp == _stamp(self._location.file)

    def bytes_of(self, row: int) -> bytes:
        """The stored bytes of one row."""
        if not 0 <= row < self.count:
            raise self._refused("NOT_FOUND", f"row {row} was asked for, but the array has {self.count} (counted from 0)")
        try:
            if self._stream is None or row < self._next:
                self._rewind()
            assert self._stream is not None
            self._skip((row - self._next) * self._row_bytes)
            data = self._stream.read(self._row_bytes)
        except Exception as error:  # BadZipFile, EOFError, zlib.error and the like of other compressions
            self._stream = None
            raise self._refused("DECODE_FAILED", f"the compressed data are broken ({type(error).__name__})") from None
        if len(data) < self._row_bytes:
            self._stream = None
            raise self._refused("DECODE_FAILED", "the array ends early")
        self._next = row + 1
        return data

    def array(self, data: bytes) -> NDArray[np.generic]:
        """A row's bytes as (H, W) or (H, W, C)."""
        return np.frombuffer(data, dtype=self.dtype).reshape(self.shape)

    def _rewind(self) -> None:
        self._stream = self._archive.open(f"{self._location.member}.npy")
        self._next = 0
        _header(self._stream)

    def _skip(self, count: int) -> None:
        assert self._stream is not None
        while count > 0:
            got = len(self._stream.read(min(count, _BLOCK)))
            if not got:
                raise EOFError
            count -= got

    def _check(self, held_shape: tuple[int, ...], fortran: bool, largest_pixels: int) -> tuple[int, ...]:
        shape = as_stack(held_shape)
        if not (len(shape) == 3 or (len(shape) == 4 and shape[3] in (1, 3))):
            raise self._refused("UNSUPPORTED", f"has shape {held_shape}; images are (N, H, W), (N, H, W, 1), (N, H, W, 3) or (H, W, 3)")
        if self.dtype not in (np.uint8, np.uint16, np.float16, np.float32, np.float64):
            raise self._refused("UNSUPPORTED", f"holds {self.dtype}; allowed are uint8, uint16 and floating point in 0 … 1")
        if fortran:
            raise self._refused("UNSUPPORTED", "is stored column by column; save numpy.ascontiguousarray of it")
        if shape[1] * shape[2] > largest_pixels:
            raise self._refused("TOO_LARGE", f"rows of {shape[1]} x {shape[2]} pixels; allowed are {largest_pixels} (image.largest_pixels)")
        if shape[1] < 1 or shape[2] < 1:
            raise self._refused("BAD_HEADER", f"rows of {shape[1]} x {shape[2]} pixels")
        return shape

    def _refused(self, code: str, reason: str) -> ImageError:
        return ImageError(code, f"{self._location.file}/{self._location.member}", reason)


_opened: dict[tuple[Path, str, int], Rows] = {}


def rows(location: Location, largest_pixels: int) -> Rows:
    """The member that `location` names; kept open between calls of this process, opened anew when the file changed."""
    if not location.member:
        raise ImageError("NOT_FOUND", str(location.file), f"holds arrays: name one, such as {location.file.name}/train_images")
    key = (location.file, location.member, largest_pixels)
    known = _opened.pop(key, None)
    if known is not None and not known.current():
        known.close()
        known = None
    _opened[key] = known or Rows(location, largest_pixels)
    while len(_opened) > _OPEN_AT_ONCE:
        _opened.pop(next(iter(_opened))).close()
    return _opened[key]


def read(location: Location, largest_pixels: int) -> Image:
    """One row as an image; without a frame the array must have a single row.

    Raises:
        ImageError: NOT_FOUND, NOT_AN_IMAGE, UNSUPPORTED, TOO_LARGE, BAD_HEADER, MULTI_FRAME, NOT_FINITE, DECODE_FAILED.
    """
    member = rows(location, largest_pixels)
    if location.frame is None and member.count > 1:
        raise ImageError("MULTI_FRAME", f"{location.file}/{location.member}", f"holds {member.count} images and none was chosen")
    frame = location.frame or 0
    data = member.bytes_of(frame)
    stored = member.array(data)
    if stored.dtype.kind == "f":
        values = _floats(stored, location)
        intensity = "as stored, floating point in 0 … 1"
    else:
        values = np.divide(stored, np.float32(2 ** (8 * stored.dtype.itemsize) - 1), dtype=np.float32)
        intensity = f"range of {8 * stored.dtype.itemsize} bits"
    pixels = np.ascontiguousarray(values.transpose(2, 0, 1) if values.ndim == 3 else values[None])
    receipt = Receipt(
        format="NPZ", sha256=hashlib.sha256(data).hexdigest(), bytes=len(data), frame=frame, orientation="as stored", intensity=intensity,
        bits=8 * stored.dtype.itemsize, photometric="RGB" if len(pixels) == 3 else "L",
    )  # fmt: skip
    return Image(pixels, receipt)


def _floats(stored: NDArray[np.generic], location: Location) -> NDArray[np.float32]:
    values = stored.astype(np.float32)
    name = f"{location.file}/{location.member}"
    if not np.isfinite(values).all():
        raise ImageError("NOT_FINITE", name, f"row {location.frame or 0} holds NaN or infinite pixels")
    if values.min() < 0 or values.max() > 1:
        raise ImageError("UNSUPPORTED", name, "floating-point pixels outside 0 … 1 have no agreed range; scale them or save 16 bits")
    return values


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    version = np.lib.format.read_magic(stream)
    readers: dict[tuple[int, int], Callable[..., tuple[tuple[int, ...], bool, np.dtype[np.generic]]]] = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise ValueError("unknown version of the array format")
    return readers[version](stream)


def _stamp(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_size, status.st_mtime_ns
