"""Whether two images are one picture: laid over each other, do their fine structures agree?

Two chests look alike in the large; only copies of one exposure agree in the small. So both images are freed of brightness and contrast
(each pixel against its own neighbourhood: a relief), brought together by an affine movement (Evangelidis and Psarakis, "Parametric Image
Alignment Using Enhanced Correlation Coefficient Maximization", PAMI 2008; a crop or a squeeze is one), and correlated where both show
something.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

VERSION = 1
"""Raised whenever thumbnails, candidates (:mod:`medtl.audit.likeness`) or agreements become others: what is remembered of them is then
found out anew. A test holds what this version gives."""
SIDE = 96
"""Pixels: side of the pictures that are compared."""
_ABOVE = 1.0
"""How far a copy's agreement lies above that of a cohort's nearest pictures, in Fisher's z (docs/decisions/0015-same-picture.md)."""
_FEW, _USUAL = 30, 0.5
"""With fewer candidates than this, the missing ones are taken for chest radiographs, whose nearest agree so."""
SURE = 0.75
"""Agreement of copies in the least alike of cohorts: from here on no other way to turn a picture is tried."""
_COARSE = 32
_SKETCH = 16
_HOPELESS, _DOUBTFUL = 0.8, 0.4
"""Agreement of the coarse reliefs once they lie over each other, and of the fine ones before they are moved: copies had more."""
_WIDE, _NARROW = 8.0, 4.0
"""Pixels: standard deviation of the neighbourhood against which a pixel is seen; in the coarse relief, in the fine one."""
_NOISE = 36.0
"""Grey levels squared: variance that is taken for noise, so that flat areas stay flat."""
_OVERLAP = 0.6
"""Share of the picture that both must show."""
_TRIED, _UNLIKE = 2, 0.4
"""How many of the eight ways to turn a picture are tried, and the correlation of sketches below which none is."""
_STRETCH = 1.3
"""How much larger one may show it than the other."""
_STEPS = 8
"""Copies lie over each other after three."""

Grey = NDArray[np.float32]
Turn = tuple[int, bool]
"""Quarter turns, and whether mirrored before."""
TURNS: tuple[Turn, ...] = tuple(product(range(4), (False, True)))


def thumbnail(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(SIDE, SIDE) grey from (S, S, C)."""
    grey = image[..., 0] if image.shape[2] == 1 else image.mean(axis=2, dtype=np.float32).round().astype(np.uint8)
    return np.asarray(cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA), dtype=np.uint8)


@dataclass(frozen=True, eq=False)
class Picture:
    """A thumbnail, and what every comparison with it needs."""

    thumbnail: NDArray[np.uint8]
    sketch: Grey
    """(16, 16) of length one: the middle structures, of which near copies have similar ones."""
    relief: Grey
    """(32, 32) coarse."""
    seen: Grey

    @classmethod
    def of(cls, thumbnail: NDArray[np.uint8]) -> Picture:
        floats = thumbnail.astype(np.float32)
        small = np.asarray(cv2.resize(floats, (_COARSE, _COARSE), interpolation=cv2.INTER_AREA), dtype=np.float32)
        relief = _relief(small, _WIDE)
        drawn = cv2.resize(relief, (_SKETCH, _SKETCH), interpolation=cv2.INTER_AREA)
        drawn = drawn - drawn.mean()
        return cls(thumbnail, np.asarray(drawn / (np.linalg.norm(drawn) + 1e-6), dtype=np.float32), relief, _seen(small))

    def turned(self, turn: Turn) -> Picture:
        return Picture(*(_turned(each, turn) for each in (self.thumbnail, self.sketch, self.relief, self.seen)))


def agreement(first: Picture, second: Picture) -> float:
    """Correlation in [-1, 1] of two pictures' fine structures once they lie over each other, the second mirrored or turned if need be.

    What does not overlap, or cannot be brought together, gives -1. Two to four milliseconds.
    """
    likeness = {turn: float((first.sketch * _turned(second.sketch, turn)).sum()) for turn in TURNS}
    score = -1.0
    for turn in sorted(TURNS, key=likeness.__getitem__, reverse=True)[:_TRIED]:
        if score < SURE and likeness[turn] > _UNLIKE:
            score = max(score, _agreement(first, second.turned(turn)))
    return score


def needed(agreements: NDArray[np.float64]) -> float:
    """The agreement from which a pair is one picture, given those of all candidates (P,), most of which are none.

    Images of one kind share structures: where the median candidate agrees by 0 (skin), 0.76 is beyond chance; by 0.8 (made radiographs),
    only 0.97 is. In Fisher's z = artanh(r), in which the spread of a correlation hardly depends on its size, it is the same step.
    """
    usual = np.concatenate([np.clip(agreements, 0, 0.999), np.full(max(0, _FEW - len(agreements)), _USUAL)])
    return float(np.tanh(np.arctanh(np.median(usual)) + _ABOVE))


def _agreement(first: Picture, second: Picture) -> float:
    coarse = _Pair(first.relief, second.relief, first.seen, second.seen)
    start = np.eye(2, 3, dtype=np.float32)
    movement = coarse.moved(start)
    if movement is None:  # from a crop to its original it may go where it does not the other way round
        back = coarse.swapped().moved(start)
        movement = None if back is None else np.asarray(cv2.invertAffineTransform(back), dtype=np.float32)
    if movement is None or coarse.correlation(movement) < _HOPELESS:
        return -1.0
    one, other = (each.thumbnail.astype(np.float32) for each in (first, second))
    fine = _Pair(_relief(one, _NARROW), _relief(other, _NARROW), _seen(one), _seen(other))
    movement = _enlarged(movement, SIDE / _COARSE)
    score = fine.correlation(movement)
    finer = fine.moved(movement) if score > _DOUBTFUL else None
    return score if finer is None else fine.correlation(finer)


@dataclass(frozen=True)
class _Pair:
    """Two reliefs (S, S) of one size, and where each says something (1) or is black or white altogether (0)."""

    first: Grey
    second: Grey
    first_seen: Grey
    second_seen: Grey

    def swapped(self) -> _Pair:
        return _Pair(self.second, self.first, self.second_seen, self.first_seen)

    def moved(self, start: Grey) -> Grey | None:
        """(2, 3) the affine movement that lays the second over the first; None where none is found, or one that no copy has."""
        until = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, _STEPS, 1e-3)
        try:
            _, found = cv2.findTransformECC(self.first, self.second, start.copy(), cv2.MOTION_AFFINE, until)
        except cv2.error:  # it does not converge, or leaves the picture
            return None
        if not np.isfinite(found).all():
            return None
        stretches = np.linalg.svd(found[:, :2], compute_uv=False)
        return np.asarray(found, dtype=np.float32) if 1 / _STRETCH < stretches.min() <= stretches.max() < _STRETCH else None

    def correlation(self, movement: Grey) -> float:
        """Of the reliefs where both pictures are seen; -1 where that is too little."""
        moved, shown, inside = (_warped(each, movement) for each in (self.second, self.second_seen, np.ones_like(self.second)))
        shown *= self.first_seen
        weight = float(shown.sum())
        if inside.mean() < _OVERLAP or weight < 0.1 * shown.size:
            return -1.0
        one, other = (each - float((each * shown).sum()) / weight for each in (self.first, moved))
        together = float((one * other * shown).sum())
        return together / float(np.sqrt((one * one * shown).sum() * (other * other * shown).sum()) + 1e-6)


def _warped(picture: Grey, movement: Grey) -> Grey:
    return np.asarray(cv2.warpAffine(picture, movement, picture.shape[::-1], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP))


def _enlarged(movement: Grey, factor: float) -> Grey:
    """The same movement in finer pixels, whose centres lie half a pixel inside, too."""
    finer = movement.copy()
    finer[:, 2] = factor * movement[:, 2] + (factor - 1) / 2 * (movement[:, :2].sum(axis=1) - 1)
    return finer


def _turned(picture: NDArray[Any], turn: Turn) -> NDArray[Any]:
    quarters, mirrored = turn
    return np.ascontiguousarray(np.rot90(picture[:, ::-1] if mirrored else picture, quarters))


def _relief(picture: Grey, neighbourhood: float) -> Grey:
    """Each pixel against its neighbourhood: how many standard deviations it is brighter."""
    deviation = picture - cv2.GaussianBlur(picture, (0, 0), neighbourhood)
    variance = cv2.GaussianBlur(deviation * deviation, (0, 0), neighbourhood)
    return np.asarray(deviation / np.sqrt(variance + _NOISE), dtype=np.float32)


def _seen(picture: Grey) -> Grey:
    return ((picture > 1) & (picture < 254)).astype(np.float32)
