"""Grey pictures without anything special to them: kept as stored values and a table, and if PNG, decoded faster than Pillow does."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from medtl.imaging.image import Encoded, LookUp

_DEPTH = 24
"""Where a PNG's header says how many bits a sample has."""
_MODES = {8: "L", 16: "I;16"}
_ORIENTED = b"Raw profile type exif"
_SIGNATURE, _BEFORE_DATA = 8, 33
"""Bytes of a PNG's signature; with its header chunk."""
_LONGEST_STORED = 65535
"""Bytes of a deflate block that is not compressed."""


def grey_values(stored: NDArray[np.generic], largest: int) -> LookUp:
    """(H, W) of unsigned 8 or 16 bits, where `largest` is white."""
    words = np.ascontiguousarray(stored, np.uint8 if stored.dtype.itemsize == 1 else np.uint16)
    table = np.minimum(np.arange(1 << 8 * words.dtype.itemsize) / np.float32(largest), 1, dtype=np.float32)
    return LookUp(words, table)


def read_plain_png(picture: PIL.Image.Image, encoded: Encoded) -> tuple[LookUp, int] | None:
    """A grey PNG and its bits; None for every other picture, and where Pillow had better say what is wrong.

    Arguments:
        picture: opened, its size checked, not yet decoded.
    """
    if picture.format != "PNG" or "transparency" in picture.info or getattr(picture, "n_frames", 1) > 1:
        return None
    bits = encoded.data[_DEPTH]
    if _MODES.get(bits) != picture.mode or any(name == b"eXIf" or body[:21] == _ORIENTED for name, body in _chunks(encoded.data)):
        return None
    import imagecodecs

    try:
        stored = np.asarray(imagecodecs.png_decode(_expanded(encoded.data, picture.height * (1 + picture.width * bits // 8))))
    except Exception:
        return None
    if stored.shape != (picture.height, picture.width) or stored.dtype.itemsize * 8 != bits:
        return None
    return grey_values(stored, (1 << bits) - 1), bits


def _chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Name and contents of a PNG's chunks, as far as they go."""
    view, start = memoryview(data), _SIGNATURE
    while start + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, start)
        yield name, view[start + 8 : start + 8 + length]
        start += 12 + length


def _expanded(data: bytes, size: int) -> bytes:
    """The same grey PNG with its lines, `size` bytes, not compressed: libdeflate expands them in half the time of libpng's own zlib."""
    from imagecodecs import deflate_adler32, deflate_crc32, deflate_decode

    def chunk(name: bytes, *contents: bytes | memoryview) -> bytes:
        body = b"".join((name, *contents))
        return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", deflate_crc32(body))

    lines = memoryview(deflate_decode(b"".join(body for name, body in _chunks(data) if name == b"IDAT"), out=size))
    blocks = [lines[start : start + _LONGEST_STORED] for start in range(0, size, _LONGEST_STORED)]
    heads = [struct.pack("<BHH", block is blocks[-1], len(block), len(block) ^ 0xFFFF) for block in blocks]
    stored = [chunk(b"IDAT", *pair) for pair in zip(heads, blocks, strict=True)]
    adler = struct.pack(">I", deflate_adler32(lines))
    return b"".join((data[:_BEFORE_DATA], chunk(b"IDAT", b"\x78\x01"), *stored, chunk(b"IDAT", adler), chunk(b"IEND")))
