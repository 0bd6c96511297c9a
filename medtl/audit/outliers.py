"""Images unlike all others, by their neighbours in the features of a frozen backbone. Plain numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NEIGHBOURS = 10
_REFERENCE = 4000
"""So many images, chosen by chance, stand for the rest where there are more."""
_COMPONENTS = 64
_BLOCK = 1024
FAR = 6.0
"""Robust standard deviations above the median of the logarithm of the distance."""


def isolation(features: NDArray[np.float32], groups: NDArray[np.int64]) -> NDArray[np.float64]:
    """(N,) robust z-score of the mean distance to the ten nearest images of other groups; NaN where `features` (N, D) are NaN,
    and everywhere with fewer than three times ten images.

    Features are reduced to their 64 main components and to length 1, so that distance is an angle.
    """
    score = np.full(len(features), np.nan)
    known = np.flatnonzero(np.isfinite(features).all(axis=1))
    if len(known) < 3 * NEIGHBOURS:
        return score
    chosen = known if len(known) <= _REFERENCE else np.sort(np.random.default_rng(0).choice(known, _REFERENCE, replace=False))
    axes = _main_axes(features[chosen])
    centre = features[chosen].mean(axis=0)
    reference = _unit((features[chosen] - centre) @ axes)
    distance = np.empty(len(known))
    for start in range(0, len(known), _BLOCK):
        rows = known[start : start + _BLOCK]
        apart = 1 - _unit((features[rows] - centre) @ axes) @ reference.T
        apart[groups[rows][:, None] == groups[chosen][None]] = np.inf
        nearest = np.partition(apart, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
        distance[start : start + len(rows)] = np.where(np.isfinite(nearest), nearest, 1.0).mean(axis=1)
    score[known] = _robust_z(np.log(np.maximum(distance, 1e-6)))
    return score


def _main_axes(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """(D, ≤ 64) directions of the largest variance."""
    centred = (features - features.mean(axis=0)).astype(np.float64)
    values, vectors = np.linalg.eigh(centred.T @ centred)
    return np.asarray(vectors[:, np.argsort(-values)[:_COMPONENTS]], dtype=np.float32)


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), dtype=np.float32)


def _robust_z(values: NDArray[np.float64]) -> NDArray[np.float64]:
    middle = np.median(values)
    spread = 1.4826 * np.median(np.abs(values - middle))
    return np.asarray((values - middle) / max(spread, 1e-9), dtype=np.float64)
