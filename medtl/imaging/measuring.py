"""What is measured of every picture while it is read: hashes, brightness, edges. Plain numpy and OpenCV."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from medtl.measurements import row

_RING = 32
"""The border is the outermost 1/32 of each side."""
_UNIFORM = 2 / 255
"""A line whose pixels differ by less is uniform."""


def measure(planes: NDArray[np.float32], receipt: Mapping[str, Any]) -> dict[str, object]:
    """The measurements of one image (columns of :mod:`medtl.measurements` but the key).

    Arguments:
        planes: float32 (H, W) or (H, W, 3) in [0, 1].
        receipt: the receipt as plain values (`dataclasses.asdict`).
    """
    grey = luminance(planes)
    facts = receipt["facts"]
    mean, deviation = cv2.meanStdDev(grey)
    kept = {key: value for key, value in receipt.items() if key not in ("facts", "sha256", "bytes", "format")}
    return row(
        {
            "sha256": receipt["sha256"], "bytes": receipt["bytes"], "format": receipt["format"],
            "pixel_hash": pixel_hash(planes), "phash": perceptual_hash(grey), "height": grey.shape[0], "width": grey.shape[1],
            "brightness": float(mean[0, 0]), "contrast": float(deviation[0, 0]),
            "border": border(grey), "padding_share": padding_share(grey),
            **{name: facts[name] for name in ("modality", "body_part", "view", "laterality")},
            "spacing": "" if facts["spacing"] is None else "{:g} {:g}".format(*facts["spacing"]),
            "bits": str(receipt["bits"]), "photometric": receipt["photometric"],
            "receipt": json.dumps({**kept, "spacing_from": facts["spacing_from"]}, separators=(",", ":")),
        }
    )  # fmt: skip


def luminance(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """(H, W) from (H, W) or (H, W, 3): 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601)."""
    return planes if planes.ndim == 2 else np.asarray(cv2.cvtColor(planes, cv2.COLOR_RGB2GRAY), dtype=np.float32)


def sixteen_bits(planes: NDArray[np.float32]) -> NDArray[np.uint16]:
    """[0, 1] rounded to 0 … 65535; exact for pixels that were stored with 8 or 16 bits."""
    return (planes * np.float32(65535) + np.float32(0.5)).astype(np.uint16)


def pixel_hash(planes: NDArray[np.float32]) -> str:
    """SHA-256 of shape and pixels at 16 bits: the same picture in another container has the same hash."""
    return hashlib.sha256(repr(planes.shape).encode() + sixteen_bits(planes).tobytes()).hexdigest()


def perceptual_hash(grey: NDArray[np.float32]) -> str:
    """64 bits as 16 hex digits: the signs of the 8 x 8 lowest cosine terms of a 32 x 32 thumbnail, against their median.

    Source: the pHash of Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010.
    """
    thumbnail = cv2.resize(grey, (32, 32), interpolation=cv2.INTER_AREA)
    lowest = np.asarray(cv2.dct(thumbnail))[:8, :8].ravel()
    return np.packbits(lowest > np.median(lowest[1:])).tobytes().hex()


def border(grey: NDArray[np.float32]) -> float:
    """Mean of the outermost ring, 1/32 of each side wide."""
    high, wide = (max(1, side // _RING) for side in grey.shape)
    inner = grey[high:-high, wide:-wide]
    count = grey.size - inner.size
    return float((grey.sum(dtype=np.float64) - inner.sum(dtype=np.float64)) / count)


def padding_share(grey: NDArray[np.float32]) -> float:
    """Share of the area outside the smallest box that holds every line which is not uniform; 1 for a constant image."""
    box = [_extent(grey.max(axis=axis) - grey.min(axis=axis) >= _UNIFORM) for axis in (1, 0)]
    return 1 - box[0] * box[1] / grey.size


def _extent(lines: NDArray[np.bool_]) -> int:
    present = np.flatnonzero(lines)
    return int(present[-1] - present[0] + 1) if len(present) else 0
