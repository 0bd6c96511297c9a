"""Views that take a part of the picture away: the middle, the border, what was written on it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
BLANK = 128
"""What is put where something was taken away: the same in every image, for an image's own mean would tell how bright it was."""
STANDS_OUT = 40
"""Grey levels by which a mark differs from what is around it."""


def border_only(picture: Bytes) -> Bytes:
    """The outer eighth on each side alone (44 % of the area): what still ranks by it is not in the middle.

    After the masked boxes of Bissoto et al. ((De)Constructing Bias on Skin Lesion Datasets, CVPR workshops 2019), and of Maguolo & Nanni
    (A critic evaluation of methods for COVID-19 automatic detection from X-ray images, Information Fusion 2021).
    """
    return _blanked(picture, 1 / 8)


def centre_masked(picture: Bytes) -> Bytes:
    """Without the middle half of each side, a quarter of the area."""
    return _blanked(picture, 1 / 4)


def crop(picture: Bytes) -> Bytes:
    """Without the outer tenth on each side, enlarged to the same size."""
    rows, columns = middle(picture.shape, 1 / 10)
    inside = np.ascontiguousarray(picture[rows, columns])
    enlarged = cv2.resize(inside, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(enlarged, np.uint8).reshape(picture.shape)


def markers_removed(picture: Bytes) -> Bytes:
    """Letters, crosses, arrows and ink painted over from what is around them (Telea's inpainting).

    A mark is a connected spot that differs by more than :data:`STANDS_OUT` grey levels, brighter or darker in any channel, from the
    picture without structures thinner than a twelfth of its side (top-hat and black-hat), no longer than a sixth of the side, and does not
    reach into the middle half of each side. Fine anatomy and hairs there go too: that view may cost something without any marker.
    """
    side = min(picture.shape[:2])
    marks = _standing_out(picture, max(3, side // 12 | 1))
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(marks.astype(np.uint8), connectivity=8)
    rows, columns = middle(picture.shape, 1 / 4)
    central = np.unique(labels[rows, columns])
    small = boxes[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max(axis=1) <= side / 6
    small[0] = False  # what is no mark
    small[central] = False
    if not small.any():
        return picture
    painted = cv2.dilate(small[labels].astype(np.uint8), np.ones((3, 3), np.uint8))
    return np.asarray(cv2.inpaint(picture, painted, 3, cv2.INPAINT_TELEA), np.uint8).reshape(picture.shape)


def middle(shape: tuple[int, ...], frame: float) -> tuple[slice, slice]:
    """Rows and columns without this share of each side at either end.

    >>> middle((80, 40, 3), 1 / 8)
    (slice(10, 70, None), slice(5, 35, None))
    """
    down, across = (round(frame * side) for side in shape[:2])
    return slice(down, shape[0] - down), slice(across, shape[1] - across)


def _blanked(picture: Bytes, frame: float) -> Bytes:
    blanked = picture.copy()
    blanked[middle(picture.shape, frame)] = BLANK
    return blanked


def _standing_out(picture: Bytes, thinnest: int) -> NDArray[np.bool_]:
    """(H, W) where any channel is much brighter, or darker, than without structures thinner than so many pixels."""
    square = np.ones((thinnest, thinnest), np.uint8)
    brighter, darker = (
        cv2.morphologyEx(picture, kind, square, borderType=cv2.BORDER_REPLICATE).reshape(picture.shape)
        for kind in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT)
    )
    return np.asarray((np.maximum(brighter, darker) > STANDS_OUT).any(axis=2))
