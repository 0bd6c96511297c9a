"""Grey PNGs on their faster road: the same pixels as by Pillow, and everything special is left to Pillow."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import PIL.Image
import pytest
from PIL.PngImagePlugin import PngInfo

from medtl.imaging.image import Encoded, LookUp
from medtl.imaging.plain_grey import read_plain_png


def read(data: bytes) -> tuple[LookUp, int] | None:
    return read_plain_png(PIL.Image.open(io.BytesIO(data)), Encoded("x.png", data, "", None, 10**6))


def saved(picture: PIL.Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG", **options)
    return file.getvalue()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(1, 1), (257, 254), (514, 254), (300, 401)])  # 257 lines of 1 + 254 bytes fill one block to the brim
def test_pixels_are_those_that_were_saved(shape: tuple[int, int], dtype: type) -> None:
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    stored = (40 * rows + 90 * columns + np.random.default_rng(0).integers(0, 60, shape)).astype(dtype)
    found = read(saved(PIL.Image.fromarray(stored)))
    assert found is not None
    np.testing.assert_array_equal(found[0].stored, stored)
    assert found[1] == 8 * stored.dtype.itemsize


def packed(lines: bytes, height: int, width: int, interlaced: int = 0) -> bytes:
    """A grey PNG of 8 bits around any compressed data."""
    parts = ((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, interlaced)), (b"IDAT", lines), (b"IEND", b""))
    chunks = (struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize(
    ("lines", "interlaced"),
    [
        (zlib.compress(bytes(8 * 9 - 1)), 0),
        (zlib.compress(bytes(8 * 9 + 1)), 0),
        (zlib.compress(bytes(1 << 24)), 0),
        (zlib.compress(bytes(8 * 9))[:-1] + b"?", 0),
        (zlib.compress(b"\x05" + bytes(8 * 9 - 1)), 0),
        (b"no deflate", 0),
        (zlib.compress(bytes(15 + 64)), 1),
    ],
    ids=["a byte short", "a byte too much", "a bomb", "a false checksum", "an unknown filter", "no data", "interlaced"],
)
def test_damaged_and_rare_ones_are_left_to_pillow(lines: bytes, interlaced: int) -> None:
    assert read(packed(zlib.compress(bytes(8 * 9)), 8, 8)) is not None
    assert read(packed(lines, 8, 8, interlaced)) is None


def test_only_a_chunk_says_how_a_picture_lies(marker: np.ndarray, png: Callable[..., bytes]) -> None:
    exif, text, other = PIL.Image.Exif(), PngInfo(), PngInfo()
    exif[274] = 6
    text.add_text("Raw profile type exif", "anything", zip=True)
    other.add_text("Comment", "eXIf and Raw profile type exif")
    assert read(saved(PIL.Image.fromarray(marker), exif=exif)) is None
    assert read(saved(PIL.Image.fromarray(marker), pnginfo=text)) is None
    assert read(saved(PIL.Image.fromarray(marker), pnginfo=other)) is not None
    assert read(png(marker, 0, gAMA=struct.pack(">I", 45455))) is not None
