"""Chance that belongs to a seed and a unit, the same on every machine and whatever else is drawn."""

from __future__ import annotations

import hashlib


def draw(seed: int, unit: str) -> float:
    """A uniform number in [0, 1) that belongs to this seed and unit: the first 64 bits of a SHA-256.

    >>> draw(0, "a") == draw(0, "a") != draw(1, "a")
    True
    """
    return int.from_bytes(hashlib.sha256(f"{seed}:{unit}".encode()).digest()[:8], "big") / 2**64
