"""Images unlike all others, by their neighbours in the features of a frozen backbone. Plain numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NEIGHBOURS = 10
FAR = 4.5
"""Robust standard deviations above the median of the logarithm of the distance. In sets of 467 (ultrasound), 489 (radiographs) and 368
(synthetic) no image is further than 4.3; five ultrasound images among the radiographs are at 5.4 to 6.2, among the synthetic ones
above 8.6, five radiographs among the ultrasound at 3.6 to 4.5. Twenty of a kind are neighbours of each other, and are not found."""
_REFERENCE = 4000
"""So many images, chosen by chance, stand for the rest where there are more."""
_SMALL = 0.05
"""Pooled features below this are as good as zero; above, their logarithm counts."""
_BLOCK = 1024

Floats = NDArray[np.float32]


def isolation(features: Floats, groups: NDArray[np.int64]) -> NDArray[np.float64]:
    """(N,) robust z-score of the mean distance to the ten nearest images of other groups; NaN where `features` (N, D) are NaN,
    and everywhere with fewer than three times ten images.

    Distances are Euclidean, of the logarithms of the features, each brought to variance 1: the sum of thousands of skewed
    features is ruled by a few else.
    """
    score = np.full(len(features), np.nan)
    known = np.flatnonzero(np.isfinite(features).all(axis=1))
    if len(known) < 3 * NEIGHBOURS:
        return score
    chosen = known if len(known) <= _REFERENCE else np.sort(np.random.default_rng(0).choice(known, _REFERENCE, replace=False))
    reference = _compressed(features[chosen])
    centre, spread = reference.mean(axis=0), np.maximum(reference.std(axis=0), 1e-6)
    reference = (reference - centre) / spread
    distance = np.empty(len(known))
    for start in range(0, len(known), _BLOCK):
        rows = known[start : start + _BLOCK]
        apart = _distances((_compressed(features[rows]) - centre) / spread, reference)
        apart[groups[rows][:, None] == groups[chosen][None]] = np.inf
        nearest = np.partition(apart, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
        finite = np.isfinite(nearest)  # one group may hold nearly all
        distance[start : start + len(rows)] = np.where(finite, nearest, 0).sum(axis=1) / np.maximum(finite.sum(axis=1), 1)
    score[known] = _robust_z(np.log(np.maximum(distance, 1e-6)))
    return score


def _compressed(features: Floats) -> Floats:
    """Logarithms for large features, linear through zero, so that networks with negative features are no special case."""
    return np.asarray(np.arcsinh(features / np.float32(_SMALL)), dtype=np.float32)


def _distances(rows: Floats, reference: Floats) -> Floats:
    """(n, m) Euclidean."""
    squares = np.square(rows).sum(axis=1)[:, None] + np.square(reference).sum(axis=1)[None] - 2 * rows @ reference.T
    return np.asarray(np.sqrt(np.maximum(squares, 0)), dtype=np.float32)


def _robust_z(values: NDArray[np.float64]) -> NDArray[np.float64]:
    middle = np.median(values)
    spread = 1.4826 * np.median(np.abs(values - middle))
    return np.asarray((values - middle) / max(spread, 1e-9), dtype=np.float64)
