"""An image for the eye: upright and whole, with the values that its file holds, so that a person may choose the window.

The network's input is another matter (:mod:`medtl.imaging.preprocessing`). Here the values after the modality step are kept, in 16 bits,
beside a table of what the reader made of them, so that what is shown first is what the network was given.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from medtl.imaging.image import Image, LookUp, Window, in_bytes

SMALLEST = 256
"""Pixels of the long side to which a smaller picture is enlarged, by doubling its pixels."""
_CT = (("Lung", -600, 1500), ("Soft tissue", 40, 400), ("Bone", 400, 1800), ("Brain", 40, 80))
"""Usual windows of CT in Hounsfield units: name, centre, width."""
_TAILS = 0.5
LARGEST_COPY = 64 << 20
"""Bytes."""
_FEWEST = 16
"""Values that a window of the image's own contrast has to span."""
Words = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True, eq=False)
class View:
    """Pixels whose word w stands for the value `low + step * w`."""

    words: Words
    """(h, w), uint8 where that is enough and else uint16; colour is uint8 (h, w, 3), which has no window of its own."""
    table: NDArray[np.uint8]
    """(256,) or (65536,): what the reader shows for every word."""
    low: float
    step: float
    unit: str
    inverted: bool
    """Whether the highest value is black under a window."""
    windows: tuple[tuple[str, Window], ...]
    """Name and window, the header's own first."""
    copy: bytes = b""
    """A PNG of the whole image as the reader shows it, 16 bits where it has more than 8, without a header; empty where none was asked for,
    or it would take more than :data:`LARGEST_COPY`."""

    def as_read(self) -> NDArray[np.uint8]:
        """RGB (h, w, 3) as the reader shows it."""
        shown = np.asarray(cv2.LUT(self.words, self.table), np.uint8)
        return shown if shown.ndim == 3 else np.asarray(cv2.cvtColor(shown, cv2.COLOR_GRAY2RGB), np.uint8)


def view(image: Image, longest: int) -> View:
    """The image at no more than `longest` pixels a side."""
    values, shown = _grey(image)
    if values is None or shown is None:
        colours = _shrunk(in_bytes(image.sixteen_bits), longest)
        return View(colours, np.arange(256, dtype=np.uint8), 0, 1, "", False, ())
    given = image.given
    low, high = float(values.min()), float(values.max())
    whole = high - low <= 65535 and bool((values == np.rint(values)).all())
    step = 1.0 if whole else max((high - low) / 65535, np.finfo(np.float64).tiny)
    numbers = np.rint((values - low) / step).astype(np.uint16)
    if isinstance(given, LookUp):
        first = (image.values.first or 0) if image.values else 0
        words_of = np.zeros(len(given.table), np.uint16)
        words_of[first : first + len(numbers)] = numbers
        words = np.asarray(cv2.LUT(given.stored, words_of))
    else:
        words = numbers
    words = words.astype(np.uint8) if int(words.max()) <= 255 else words
    table = _table(numbers.ravel(), shown.ravel(), 256 if words.dtype == np.uint8 else 65536)
    small = _shrunk(words, longest)
    unit, windows = (image.values.unit, image.values.windows) if image.values else ("", ())
    inverted = image.values is not None and image.receipt.inverted
    return View(small, table, low, step, unit, inverted, _offered(small, low, step, unit, windows))


def _grey(image: Image) -> tuple[NDArray[np.float64] | None, NDArray[np.float32] | None]:
    """Values, and what is shown of them: of every stored word, or of every pixel; None and None for colour."""
    given = image.given
    if isinstance(given, LookUp):
        if image.values is None:
            last = int(given.stored.max()) + 1
            return np.arange(last, dtype=np.float64), given.table[:last]
        first = image.values.first or 0
        return image.values.of, given.table[first : first + len(image.values.of)]
    if len(given) > 1:
        return None, None
    if image.values is not None:
        return image.values.of, given[0]
    bits = image.receipt.bits
    scaled = np.rint(given[0].astype(np.float64) * (2**bits - 1)) if bits <= 16 else given[0].astype(np.float64)
    return scaled, given[0]


def _table(numbers: NDArray[np.uint16], shown: NDArray[np.float32], length: int) -> NDArray[np.uint8]:
    """What is shown of every word; between words that the image holds, in proportion."""
    known, where = np.unique(numbers, return_index=True)
    return np.rint(np.interp(np.arange(length), known, shown[where]) * 255).astype(np.uint8)


def _shrunk(picture: Any, longest: int) -> Any:
    """Down by area to `longest` pixels a side; a thumbnail up by doubling, which invents nothing."""
    height, width = picture.shape[:2]
    if max(height, width) > longest:
        scale = longest / max(height, width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    times = -(-min(SMALLEST, longest) // max(height, width))
    return picture if times < 2 else picture.repeat(times, axis=0).repeat(times, axis=1)


def _offered(words: Words, low: float, step: float, unit: str, own: tuple[Window, ...]) -> tuple[tuple[str, Window], ...]:
    """The header's windows, the usual ones of CT, this image's own contrast, its whole range."""
    named = [("Window of the file" if not k else f"Window {k + 1} of the file", each) for k, each in enumerate(own)]
    usual = [(name, Window(centre, width)) for name, centre, width in _CT] if unit == "HU" else []
    dark, bright = (low + step * float(end) for end in np.percentile(words, (_TAILS, 100 - _TAILS)))
    least, most = low + step * float(words.min()), low + step * float(words.max())
    ends = [("Contrast of this image", dark, bright)] if bright - dark >= _FEWEST * step else []
    made = [(name, Window((a + b) / 2, b - a, "LINEAR_EXACT")) for name, a, b in (*ends, ("Whole range", least, most)) if b > a]
    return (*named, *usual, *made)


def copied(image: Image) -> bytes:
    """A PNG that the reader reads as the same 16-bit planes (:attr:`Image.sixteen_bits`), and so the network as the same input."""
    planes = image.sixteen_bits
    small = in_bytes(planes)
    exact: Any = small if np.array_equal(small.astype(np.uint16) * 257, planes) else planes
    ordered = exact if exact.ndim == 2 else cv2.cvtColor(exact, cv2.COLOR_RGB2BGR)
    png = cv2.imencode(".png", ordered, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1]
    return png.tobytes() if len(png) <= LARGEST_COPY else b""


def to_bytes(seen: View) -> tuple[bytes, bytes]:
    """Header (JSON) and contents; :func:`from_bytes` undoes it. No pickles: what comes out of a decode worker is data, never code."""
    header = {
        "shape": seen.words.shape, "bytes": seen.words.dtype.itemsize, "low": seen.low, "step": seen.step, "unit": seen.unit,
        "inverted": seen.inverted, "windows": [[name, asdict(window)] for name, window in seen.windows], "copy": len(seen.copy),
    }  # fmt: skip
    return json.dumps(header).encode(), seen.copy + seen.table.tobytes() + np.ascontiguousarray(seen.words).tobytes()


def from_bytes(header: bytes, contents: bytes) -> View:
    """Raises ValueError, KeyError or TypeError where the two do not fit together."""
    told: Mapping[str, Any] = json.loads(header)
    kind: Any = {1: np.uint8, 2: np.uint16}[told["bytes"]]
    entries, copied = 256 ** told["bytes"], int(told["copy"])
    table = np.frombuffer(contents, np.uint8, entries, copied)
    words = np.frombuffer(contents, kind, offset=copied + entries).reshape(told["shape"])
    windows = tuple((str(name), Window(float(each["centre"]), float(each["width"]), str(each["curve"]))) for name, each in told["windows"])
    return View(
        words, table, float(told["low"]), float(told["step"]), str(told["unit"]), bool(told["inverted"]), windows, contents[:copied]
    )
