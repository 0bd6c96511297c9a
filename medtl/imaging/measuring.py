"""What is measured of every picture while it is read: hashes, brightness, edges. Plain numpy and OpenCV."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from medtl.imaging.burnt_in import bright_marks, coloured_marks, corners, dark_marks, letters, reduced
from medtl.measurements import CORNER_MARKS, CORNERS, row

_RING = 32
"""The border is the outermost 1/32 of each side."""
_WHITE = 65535
_UNIFORM = 2 / 255 * _WHITE
"""A line or a tile whose pixels differ by less is uniform."""
_TILES = 16
"""Per side."""
_HALF_STEP = 0.5 / 255 * _WHITE
_EXACT = 1 << 24
"""Pixels that OpenCV's histogram, of float32, can count."""


def measure(planes: NDArray[np.uint16], receipt: Mapping[str, Any]) -> dict[str, object]:
    """The measurements of one image (columns of :mod:`medtl.measurements` but the key).

    Arguments:
        planes: uint16 (H, W) or (H, W, 3), 65535 is white.
        receipt: the receipt as plain values (`dataclasses.asdict`).
    """
    grey = luminance(planes)
    small = reduced(grey) / np.float32(_WHITE)
    facts, (height, width) = receipt["facts"], receipt["full_size"] or grey.shape
    kept = {key: value for key, value in receipt.items() if key not in ("facts", "sha256", "bytes", "format", "encoding")}
    kept |= {"coloured": round(coloured(reduced(planes)), 3)} if planes.ndim == 3 else {}
    return row(
        {
            "sha256": receipt["sha256"], "bytes": receipt["bytes"], "format": receipt["format"],
            "pixel_hash": pixel_hash(planes), "phash": perceptual_hash(small), "height": height, "width": width,
            **_levels(grey), "border": border(grey), "padding_share": padding_share(grey),
            "blank_share": blank_share(small), "sharpness": sharpness(grey), **_burnt_in(small, planes),
            **{name: facts[name] for name in ("modality", "body_part", "view", "laterality", "spacing_from", "device", "age")},
            "encoding": receipt["encoding"], "spacing": "" if facts["spacing"] is None else "{:g} {:g}".format(*facts["spacing"]),
            "bits": str(receipt["bits"]), "photometric": receipt["photometric"],
            "receipt": json.dumps(kept, separators=(",", ":")),
        }
    )  # fmt: skip


def _levels(grey: NDArray[np.uint16]) -> dict[str, float]:
    """What the histogram alone tells."""
    counts = histogram(grey)
    values = np.arange(len(counts)) / _WHITE
    mean = float(counts @ values) / grey.size
    return {
        "brightness": mean,
        "contrast": math.sqrt(float(counts @ (values - mean) ** 2) / grey.size),
        "black_share": float(counts[: int(_HALF_STEP) + 1].sum()) / grey.size,
        "saturated_share": float(counts[-int(_HALF_STEP) - 1 :].sum()) / grey.size,
    }


def histogram(planes: NDArray[np.uint16]) -> NDArray[np.float64]:
    """(65536,): how many pixels have each value, all channels together."""
    flat = planes.reshape(1, -1)
    blocks = (flat[:, start : start + _EXACT] for start in range(0, flat.shape[1], _EXACT))
    return np.sum([cv2.calcHist([block], [0], None, [65536], [0, 65536]).ravel() for block in blocks], axis=0, dtype=np.float64)


def _burnt_in(small: NDArray[np.float32], planes: NDArray[np.uint16]) -> dict[str, float]:
    eight = np.asarray(cv2.convertScaleAbs(small, alpha=255), dtype=np.uint8)
    bright, dark = bright_marks(eight), dark_marks(eight)
    marked = bright | dark if planes.ndim == 2 else bright | dark | coloured_marks(reduced(planes))
    means = {name: float(corner.mean(dtype=np.float64)) for name, corner in zip(CORNERS, corners(small), strict=True)}
    marks = {name: share(corner) for name, corner in zip(CORNER_MARKS, corners(marked), strict=True)}
    return {**means, **marks, "letters": float(letters(bright))}


def luminance(planes: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """(H, W) from (H, W) or (H, W, 3): 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601)."""
    return planes if planes.ndim == 2 else np.asarray(cv2.cvtColor(planes, cv2.COLOR_RGB2GRAY))


def pixel_hash(planes: NDArray[np.uint16]) -> str:
    """SHA-256 of shape and pixels at 16 bits: the same picture in another container has the same hash."""
    digest = hashlib.sha256(repr(planes.shape).encode())
    digest.update(np.ascontiguousarray(planes))
    return digest.hexdigest()


def perceptual_hash(grey: NDArray[np.float32]) -> str:
    """64 bits as 16 hex digits: the signs of the 8 x 8 lowest cosine terms of a 32 x 32 thumbnail, against their median.

    Source: the pHash of Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010.
    """
    thumbnail = cv2.resize(grey, (32, 32), interpolation=cv2.INTER_AREA)
    lowest = np.asarray(cv2.dct(thumbnail))[:8, :8].ravel()
    return np.packbits(lowest > np.median(lowest[1:])).tobytes().hex()


def share(chosen: NDArray[np.bool_]) -> float:
    """Of the pixels that are chosen."""
    return int(np.count_nonzero(chosen)) / chosen.size


def sharpness(grey: NDArray[np.uint16]) -> float:
    """Mean absolute difference of horizontal neighbours, of 512 rows at least (all, where there are fewer)."""
    rows = np.ascontiguousarray(grey[:: max(1, grey.shape[0] // 512)])
    return float(cv2.absdiff(rows[:, 1:], rows[:, :-1]).mean(dtype=np.float64)) / _WHITE if grey.shape[1] > 1 else 0.0


def coloured(small: NDArray[Any]) -> float:
    """Share of the pixels (H, W, 3) whose channels differ by an eighth of the range or more: a tint of a scan is less, skin is more."""
    values = np.asarray(small, np.float32)
    return share(values.max(axis=2) - values.min(axis=2) >= _WHITE / 8)


def blank_share(small: NDArray[np.float32]) -> float:
    """Share of 16 x 16 tiles that are uniform; 1 for a constant image. With fewer pixels a side, each is a tile with its neighbours."""
    high, wide = (max(1, side // _TILES) for side in small.shape)
    square = np.ones((high + 1, wide + 1), np.uint8)
    spread = cv2.dilate(small, square)[::high, ::wide] - cv2.erode(small, square)[::high, ::wide]
    return share(spread < _UNIFORM / _WHITE)


def border(grey: NDArray[np.uint16]) -> float:
    """Mean of the outermost ring, 1/32 of each side wide."""
    high, wide = (max(1, side // _RING) for side in grey.shape)
    if 2 * high >= grey.shape[0] or 2 * wide >= grey.shape[1]:
        return float(grey.mean(dtype=np.float64)) / _WHITE
    ring = (grey[:high], grey[-high:], grey[high:-high, :wide], grey[high:-high, -wide:])
    return sum(int(part.sum(dtype=np.uint64)) for part in ring) / sum(part.size for part in ring) / _WHITE


def padding_share(grey: NDArray[np.uint16]) -> float:
    """Share of the area outside the smallest box that holds every line which is not uniform; 1 for a constant image."""
    box = [_extent(grey.max(axis=axis) - grey.min(axis=axis) >= _UNIFORM) for axis in (1, 0)]
    return 1 - box[0] * box[1] / grey.size


def _extent(lines: NDArray[np.bool_]) -> int:
    present = np.flatnonzero(lines)
    return int(present[-1] - present[0] + 1) if len(present) else 0
