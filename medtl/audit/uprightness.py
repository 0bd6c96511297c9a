"""Which images look inverted or turned, judged by their own cohort: the perceptual hash says it.

The hash holds the signs of the 8 x 8 lowest cosine terms of a picture. Turning, mirroring, transposing and inverting a picture only
swaps these terms and changes signs, so every other way in which an image might lie is at hand without its pixels. A cohort that is
mostly upright says for each bit how often it is set; an image is suspicious where another way of lying fits the cohort far better.
Where images have no fixed way of lying (skin, mostly ultrasound), no bit is typical and nothing is ever suspicious.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FEWEST = 30
"""A cohort of fewer images does not say what is usual."""
CLEARLY = 11.0
"""Least log likelihood ratio (the bits taken as independent). 2 of 489 radiographs of adults exceed it (one is indeed upside down) and
9 of 5,216 of children; of those inverted on purpose 97 %, of those turned or transposed 60 % (adults) to 90 % (children)."""

_SAME = 0.004
"""Brightness, contrast and border of an image and its inverse agree within this; a step of 8 bits."""
_SAME_BITS = 6
"""So many bits of the hash may differ."""

_ACROSS = (-1.0) ** np.arange(8)[None, :] * np.ones((8, 1))
_DOWN = _ACROSS.T

_WITHOUT_MEAN = np.uint64(2**63 - 1)
"""The first bit is of the mean, which is positive either way."""

WAYS: dict[str, Callable[[Floats], Floats]] = {
    "inverted": lambda signs: -signs,
    "upside down": lambda signs: signs * _ACROSS * _DOWN,
    "turned to the left": lambda signs: np.swapaxes(signs, -1, -2) * _ACROSS,
    "turned to the right": lambda signs: np.swapaxes(signs, -1, -2) * _DOWN,
    "mirrored top to bottom": lambda signs: signs * _DOWN,
    "rows and columns swapped": lambda signs: np.swapaxes(signs, -1, -2),
    "rows and columns swapped, upside down": lambda signs: np.swapaxes(signs, -1, -2) * _ACROSS * _DOWN,
}
"""How an image may lie → (…, 8, 8) signs of that image made upright. A mirror image side to side cannot be told this way."""


def signs_of(phash: str) -> Floats:
    """(8, 8) of ±1: rows are the terms down the picture, columns those across."""
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(phash), np.uint8)).reshape(8, 8)
    return np.where(bits > 0, 1.0, -1.0)


def suspicious(phashes: pd.Series, cohorts: pd.Series) -> pd.DataFrame:
    """Rows of the index of `phashes` (16 hex digits) that fit their own cohort (`cohorts`: domain, view …) far better some other way.

    Columns `way` (a key of :data:`WAYS`) and `ratio` (log likelihood ratio), the clearest first. Each image is judged by the others.
    """
    found = []
    for _, own in phashes.groupby(cohorts):
        if len(own) < FEWEST:
            continue
        ratios = _ratios(np.stack([signs_of(value) for value in own]))
        frame = pd.DataFrame({"way": np.array(list(WAYS))[ratios.argmax(axis=0)], "ratio": ratios.max(axis=0)}, index=own.index)
        found.append(frame[frame["ratio"] > CLEARLY])
    if not found:
        return pd.DataFrame({"way": pd.Series(dtype=str), "ratio": pd.Series(dtype=float)})
    return pd.concat(found).sort_values("ratio", ascending=False, kind="stable")


def _ratios(signs: Floats) -> Floats:
    """(ways, n) log likelihood ratios of (n, 8, 8) signs. What looks turned at first sight does not say what is usual in a second."""
    usual = np.ones(len(signs), dtype=bool)
    for _ in range(2):
        others = usual.sum() - usual[:, None, None]
        set_ = (signs[usual] > 0).sum(axis=0) - (signs > 0) * usual[:, None, None]
        share = (set_ + 1) / (others + 2)
        ratios = np.stack([_fit(turn(signs), share) for turn in WAYS.values()]) - _fit(signs, share)
        usual = ratios.max(axis=0) <= CLEARLY
    return np.asarray(ratios, dtype=np.float64)


def _fit(signs: Floats, share: Floats) -> Floats:
    """(n,) log likelihood of (n, 8, 8) signs where a bit is set with probability `share` (n, 8, 8); the mean (bit 0) says nothing."""
    each = np.log(np.where(signs > 0, share, 1 - share))
    each[:, 0, 0] = 0
    return np.asarray(each.sum(axis=(1, 2)), dtype=np.float64)


def inverted_pairs(rows: pd.DataFrame) -> list[tuple[int, int]]:
    """Positions of the rows (columns `phash`, `brightness`, `contrast`, `border`) that are one picture, once inverted: of two such
    files one has the wrong polarity, however small the cohort."""
    from scipy.spatial import KDTree

    if not len(rows):
        return []
    levels = rows[["brightness", "contrast", "border"]].to_numpy(np.float64)
    known = np.flatnonzero(np.isfinite(levels).all(axis=1))
    levels, bits = levels[known], np.array([int(value, 16) for value in rows["phash"].iloc[known]], dtype=np.uint64)
    opposite = levels * (-1, 1, -1) + (1, 0, 1)
    near = KDTree(levels).query_ball_point(opposite, _SAME * np.sqrt(3))
    pairs = []
    for one, others in enumerate(near):
        later = np.array([other for other in others if other > one], dtype=np.int64)
        differing = np.bitwise_count((~bits[later] ^ bits[one]) & _WITHOUT_MEAN)
        pairs += [(int(known[one]), int(known[other])) for other in later[differing <= _SAME_BITS]]
    return pairs
