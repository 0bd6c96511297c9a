"""What may be burnt into a picture: side markers, text, rulers, callipers. Small structures that stand out of their surroundings.

Heuristics: they tell an audit where to look, and decide nothing about an image.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

STANDS_OUT = 64
"""Of 255: how much brighter (or darker) than its surroundings a structure is to count as a mark."""
ANOTHER_COLOUR = 0.12
"""Difference in one channel's share of the sum: skin has a blue share of a quarter, violet ink of half."""
_DARKEST = 0.1 * 3 * 65535
"""Sum of the channels below which colour is noise."""
_THINNEST_OF = 48
"""A mark is thinner than the longer side by this factor."""
_CORNER = 5
"""A corner square has this part of the shorter side."""
_MOST_SPOTS = 2000
"""More spots than any caption has are noise or texture."""


def reduced(grey: NDArray[np.uint16], longest: int = 512) -> NDArray[np.uint16]:
    """Reduced by a whole step, by area, so that the longer side has `longest` … 2 x `longest` pixels; smaller ones as they are."""
    step = max(grey.shape[:2]) // longest
    if step < 2 or min(grey.shape[:2]) < step:
        return grey
    height, width = grey.shape[0] // step, grey.shape[1] // step
    whole = np.ascontiguousarray(grey[: height * step, : width * step])
    return np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint16)


def corners(picture: NDArray[np.generic]) -> list[NDArray[np.generic]]:
    """Views of the corner squares, a fifth of the shorter side each: top left, top right, bottom left, bottom right."""
    side = max(1, min(picture.shape) // _CORNER)
    ends = slice(None, side), slice(-side, None)
    return [picture[rows, columns] for rows in ends for columns in ends]


def bright_marks(small: Bytes) -> NDArray[np.bool_]:
    """Where thin structures are much brighter than what is around them (white top-hat by a square)."""
    return np.asarray(cv2.morphologyEx(small, cv2.MORPH_TOPHAT, _square(small)) > STANDS_OUT)


def dark_marks(small: Bytes) -> NDArray[np.bool_]:
    """As :func:`bright_marks`, for dark structures (ink, rulers, hairs)."""
    return np.asarray(cv2.morphologyEx(small, cv2.MORPH_BLACKHAT, _square(small)) > STANDS_OUT)


def coloured_marks(small: NDArray[np.uint16]) -> NDArray[np.bool_]:
    """Where (H, W, 3) has another colour than most of the picture, however bright: a surgeon's ink, stickers, coloured callipers.

    Colour is each channel's share of the sum, as grey light (a vignette) changes it not; the darkest parts have none.
    """
    sums = small.sum(axis=2, dtype=np.float32)
    shares = small / (sums + _DARKEST / 15)[..., None]
    usual = np.median(shares[:: max(1, shares.shape[0] // 64), :: max(1, shares.shape[1] // 64)], axis=(0, 1))
    return np.asarray((np.abs(shares - usual).max(axis=2) > ANOTHER_COLOUR) & (sums > _DARKEST))


def letters(marks: NDArray[np.bool_]) -> int:
    """How many spots stand in rows as printed characters do: three or more of one height on one line, close together.

    Arguments:
        marks: (H, W), such as :func:`bright_marks` finds.
    """
    count, _, boxes, _ = cv2.connectedComponentsWithStats(marks.astype(np.uint8), connectivity=8)
    if not 3 <= count - 1 <= _MOST_SPOTS:
        return 0
    left, top, width, height, area = boxes[1:].T
    filled = area / (width * height)
    like = (
        (height >= 4) & (height <= max(marks.shape) // 12) & (width <= 1.6 * height) & (4 * width >= height) & (filled < 0.95) & (area >= 6)
    )
    left, top, width, height = (values[like] for values in (left, top, width, height))
    if len(left) < 3:
        return 0
    taller = np.maximum(height[:, None], height[None])
    same_line = np.abs((top + height)[:, None] - (top + height)[None]) <= 0.25 * taller
    same_height = np.minimum(height[:, None], height[None]) >= 0.7 * taller
    gap = np.maximum(left[:, None], left[None]) - np.minimum((left + width)[:, None], (left + width)[None])
    beside = same_line & same_height & (gap <= 1.0 * taller) & (gap > -0.3 * taller)
    np.fill_diagonal(beside, False)
    _, line = _connected(beside)
    sizes = np.bincount(line)
    return int(sizes[sizes >= 3].sum())


def _connected(edges: NDArray[np.bool_]) -> tuple[int, NDArray[np.int32]]:
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    found: tuple[int, NDArray[np.int32]] = connected_components(csr_array(edges), directed=False)
    return found


def _square(small: Bytes) -> Bytes:
    side = max(3, max(small.shape) // _THINNEST_OF | 1)
    return np.ones((side, side), np.uint8)
