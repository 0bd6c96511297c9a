"""Randomness by name: a stream of numbers belongs to what it is for, so one draw more in one place changes no other place."""

from __future__ import annotations

import hashlib
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


def stream(*purpose: object) -> np.random.Generator:
    """The generator of this purpose, such as `stream(seed, "a", "patient 3", "anatomy")`.

    >>> stream(0, "a").integers(100) == stream(0, "a").integers(100)
    np.True_
    """
    digest = hashlib.sha256("\0".join(map(str, purpose)).encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "big")))


def clouds(chance: np.random.Generator, shape: tuple[int, int], grain: float) -> Floats:
    """(H, W) smooth noise in 0 … 1 whose patches are about `grain` pixels wide."""
    coarse = [max(2, round(side / grain) + 1) for side in shape]
    grown = cv2.resize(chance.random(coarse, dtype=np.float32), shape[::-1], interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(grown, 0, 1), np.float32)
