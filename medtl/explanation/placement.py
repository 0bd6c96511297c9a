"""From the square that the network sees back onto the original image: what `FitSquare` of the preprocessing did, undone."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from medtl.imaging.settings import ImageSettings


class Box(NamedTuple):
    """Pixels [top, bottom) × [left, right)."""

    top: int
    bottom: int
    left: int
    right: int


def seen(original: tuple[int, int], settings: ImageSettings) -> Box:
    """The part of the original image (height, width) that the network sees: all of it, or the centre with `fit: crop`."""
    height, width = original
    if settings.fit != "crop":
        return Box(0, height, 0, width)
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return Box(top, top + side, left, left + side)


def filled(original: tuple[int, int], settings: ImageSettings) -> Box:
    """The part of the square that shows the image: all of it, or what is no border with `fit: pad`."""
    size = settings.size
    if settings.fit != "pad":
        return Box(0, size, 0, size)
    height, width = (max(1, round(side * (size / max(original)))) for side in original)
    top, left = (size - height) // 2, (size - width) // 2
    return Box(top, top + height, left, left + width)


def onto_original(
    square: NDArray[np.float32], original: tuple[int, int], settings: ImageSettings, shown: tuple[int, int] | None = None
) -> NDArray[np.float32]:
    """A map over the square, carried onto the upright original image.

    Arguments:
        square: float32 (S, S), such as a saliency map.
        original: the image's height and width, upright.
        settings: how it became a square.
        shown: height and width of the result, where the picture is shown at another size; default `original`.
    Returns:
        float32 of that size; 0 where the network saw nothing (outside a centre crop).
    """
    height, width = shown or original
    inner, part = filled(original, settings), seen(original, settings)
    down, across = height / original[0], width / original[1]
    top, bottom, left, right = (
        round(part.top * down), round(part.bottom * down), round(part.left * across), round(part.right * across),
    )  # fmt: skip
    content = np.ascontiguousarray(square[inner.top : inner.bottom, inner.left : inner.right])
    found = np.zeros((height, width), np.float32)
    found[top:bottom, left:right] = cv2.resize(content, (max(1, right - left), max(1, bottom - top)), interpolation=cv2.INTER_LINEAR)
    return found
