"""Whether two images are one picture: laid over each other, do their fine structures agree?

Two chests look alike in the large; only copies of one exposure agree in the small. So both images are freed of brightness and contrast
(each pixel against its own neighbourhood), brought together by an affine movement (Evangelidis and Psarakis, "Parametric Image Alignment
Using Enhanced Correlation Coefficient Maximization", PAMI 2008; a crop or a squeeze is one), and correlated where both show something.
"""

from __future__ import annotations

from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 96
"""Pixels: side of the pictures that are compared."""
SAME = 0.75
"""Correlation from which two images are one picture (see docs/decisions/0015-same-picture.md for what was measured)."""
_COARSE = 32
_HOPELESS = 0.7
"""After the coarse movement: below this, the fine one never led above `SAME`."""
_WIDE, _NARROW = 8.0, 4.0
"""Pixels: standard deviation of the neighbourhood against which a pixel is seen; of the coarse pictures, of the fine ones."""
_NOISE = 4.0
"""Grey levels squared: variance that is taken for noise, so that flat areas stay flat."""
_OVERLAP = 0.6
"""Share of the picture that both must show."""
_STRETCH = 1.3
"""How much larger one may show it than the other."""

Grey = NDArray[np.float32]
Turn = tuple[int, bool]
"""Quarter turns, and whether mirrored before."""
TURNS: tuple[Turn, ...] = tuple(product(range(4), (False, True)))


def thumbnail(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(SIDE, SIDE) grey from (S, S, C)."""
    grey = image[..., 0] if image.shape[2] == 1 else image.mean(axis=2, dtype=np.float32).round().astype(np.uint8)
    return np.asarray(cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def sketch(picture: NDArray[np.uint8], side: int = 16) -> Grey:
    """(side * side,) of length one: the middle structures of a thumbnail, of which near copies have similar ones."""
    small = _resized(picture, 2 * side)
    drawn = cv2.resize(_relief(small, _WIDE), (side, side), interpolation=cv2.INTER_AREA).ravel()
    drawn = drawn - drawn.mean()
    return np.asarray(drawn / (np.linalg.norm(drawn) + 1e-6), dtype=np.float32)


def agreement(first: NDArray[np.uint8], second: NDArray[np.uint8], turns: bool = False) -> float:
    """Correlation in [-1, 1] of two thumbnails' fine structures once they lie over each other; `turns`: mirrored or turned, too.

    What does not overlap, or cannot be brought together, gives -1. About a millisecond for pictures that differ, ten for copies.
    """
    if turns:
        drawn = sketch(first)
        second = max((_turned(second, turn) for turn in TURNS), key=lambda picture: float(drawn @ sketch(picture)))
    movement = np.eye(2, 3, dtype=np.float32)
    score = -1.0
    for side, neighbourhood, steps, needed in ((_COARSE, _WIDE, 25, _HOPELESS), (SIDE, _NARROW, 15, SAME)):
        one, other = _resized(first, side), _resized(second, side)
        reliefs = _relief(one, neighbourhood), _relief(other, neighbourhood)
        movement[:, 2] *= side / _COARSE
        found = _moved(*reliefs, movement, steps)
        if found is None:
            return -1.0
        movement = found
        score = _correlation(*reliefs, _seen(one), _seen(other), movement)
        if score < needed:
            break
    return score


def _turned(picture: NDArray[np.uint8], turn: Turn) -> NDArray[np.uint8]:
    quarters, mirrored = turn
    return np.ascontiguousarray(np.rot90(picture[:, ::-1] if mirrored else picture, quarters))


def _resized(picture: NDArray[np.uint8], side: int) -> Grey:
    floats = picture.astype(np.float32)
    return floats if side == len(picture) else np.asarray(cv2.resize(floats, (side, side), interpolation=cv2.INTER_AREA))


def _relief(picture: Grey, neighbourhood: float) -> Grey:
    """Each pixel against its neighbourhood: how many standard deviations it is brighter."""
    deviation = picture - cv2.GaussianBlur(picture, (0, 0), neighbourhood)
    variance = cv2.GaussianBlur(deviation * deviation, (0, 0), neighbourhood)
    return np.asarray(deviation / np.sqrt(variance + _NOISE), dtype=np.float32)


def _moved(first: Grey, second: Grey, movement: Grey, steps: int) -> Grey | None:
    """(2, 3) the affine movement that lays `second` over `first`; None where none is found, or one that no copy has."""
    until = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, steps, 1e-3)
    try:
        _, found = cv2.findTransformECC(first, second, movement.copy(), cv2.MOTION_AFFINE, until)
    except cv2.error:  # it does not converge, or leaves the picture
        return None
    stretches = np.linalg.svd(found[:, :2], compute_uv=False)
    sane = np.isfinite(found).all() and stretches.max() < _STRETCH and stretches.min() > 1 / _STRETCH
    return np.asarray(found, dtype=np.float32) if sane else None


def _correlation(first: Grey, second: Grey, seen: Grey, other_seen: Grey, movement: Grey) -> float:
    """Of two reliefs (S, S), where both pictures show something: not the black of a border, not what is saturated."""
    size, back = first.shape[::-1], cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    shown = cv2.warpAffine(other_seen, movement, size, flags=back) * seen
    weight = float(shown.sum())
    inside = float(cv2.warpAffine(np.ones_like(second), movement, size, flags=back).mean())
    if inside < _OVERLAP or weight < 0.1 * first.size:
        return -1.0
    moved = cv2.warpAffine(second, movement, size, flags=back)
    one, other = first - float((first * shown).sum()) / weight, moved - float((moved * shown).sum()) / weight
    together = float((one * other * shown).sum())
    return together / float(np.sqrt((one * one * shown).sum() * (other * other * shown).sum()) + 1e-6)


def _seen(picture: Grey) -> Grey:
    """1 where a pixel says something, 0 where it is black or white altogether."""
    return ((picture > 1) & (picture < 254)).astype(np.float32)
