"""Grey pictures without anything special to them: kept as stored values and a table, and if PNG, decoded faster than Pillow does."""

from __future__ import annotations

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from medtl.imaging.image import Encoded, LookUp

_DEPTH = 24
"""Where a PNG's header says how many bits a sample has."""
_MODES = {8: "L", 16: "I;16"}
_ORIENTED = (b"eXIf", b"Raw profile type exif")


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
    if _MODES.get(bits) != picture.mode or any(name in encoded.data for name in _ORIENTED):
        return None
    import imagecodecs

    try:
        stored = np.asarray(imagecodecs.png_decode(encoded.data))
    except Exception:
        return None
    if stored.shape != (picture.height, picture.width) or stored.dtype.itemsize * 8 != bits:
        return None
    return grey_values(stored, (1 << bits) - 1), bits
