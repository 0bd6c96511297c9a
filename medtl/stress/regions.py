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
    painted = np.zeros(picture.shape[:2], np.uint8)
    for kind in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT):  # apart: the dark gap beside a letter would join it to what is beyond
        painted |= _small_outside_the_middle(_standing_out(picture, kind))
    if not painted.any():
        return picture
    clean = cv2.inpaint(picture, cv2.dilate(painted, np.ones((3, 3), np.uint8)), 3, cv2.INPAINT_TELEA)
    return np.asarray(clean, np.uint8).reshape(picture.shape)


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


def _standing_out(picture: Bytes, kind: int) -> Bytes:
    """(H, W) 1 where any channel is much brighter (top-hat), or darker (black-hat), than without structures thinner than a twelfth."""
    thinnest = max(3, min(picture.shape[:2]) // 12 | 1)
    differs = cv2.morphologyEx(picture, kind, np.ones((thinnest, thinnest), np.uint8), borderType=cv2.BORDER_REPLICATE)
    return np.asarray((differs.reshape(picture.shape) > STANDS_OUT).any(axis=2), np.uint8)


def _small_outside_the_middle(marks: Bytes) -> Bytes:
    """(H, W) the connected spots that are no longer than a sixth of the side and do not reach into the middle half of each side."""
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(marks, connectivity=8)
    small = boxes[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max(axis=1) <= min(marks.shape) / 6
    small[0] = False  # what is no mark
    small[np.unique(labels[middle(marks.shape, 1 / 4)])] = False
    return np.asarray(small[labels], np.uint8)
