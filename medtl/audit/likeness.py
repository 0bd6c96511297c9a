"""Which pairs of images are worth a closer look: near in perceptual hash, in their middle structures, or in a network's features."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pairs = NDArray[np.int64]
"""(P, 2), the smaller position first, sorted, none twice."""
Distances = Callable[[NDArray[np.int64]], NDArray[Any]]
"""Rows (B,) -> (B, N) distances to all."""

_BLOCK = 2**24
"""Distances that are held at once."""
_FEATURES = 128
"""Principal components that features are reduced to before distances are taken."""


NEIGHBOURS = 5
"""How many nearest images are candidates, by each measure."""


def candidates(hashes: NDArray[np.uint64], sketches: NDArray[np.float32] | None, features: NDArray[np.float32] | None) -> Pairs:
    """Each image with its :data:`NEIGHBOURS` nearest, by each measure that is there.

    Arguments:
        hashes: (N,) 64-bit perceptual hashes.
        sketches: (N, M) of length one, see `sketch` of :class:`medtl.audit.same_picture.Picture`.
        features: (N, D) of a network, NaN rows where unknown.
    """
    found = [_nearest_hashes(hashes)]
    if sketches is not None:
        found.append(_nearest(sketches))
    return with_features(np.concatenate(found), features)


def with_features(pairs: Pairs, features: NDArray[np.float32] | None) -> Pairs:
    """`pairs` in any order and number, and the nearest by (N, D) features, NaN rows where unknown."""
    if features is not None:
        known = np.flatnonzero(np.isfinite(features).all(axis=1))
        pairs = np.concatenate([pairs, known[_nearest(directions(features[known]))]])
    together = np.sort(pairs, axis=1)
    return np.asarray(np.unique(together, axis=0) if len(together) else together, dtype=np.int64)


def directions(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, D') of length one: features seen from their mean, each on its own scale, reduced to the first principal components."""
    if not len(features):
        return features
    scaled = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-3)
    if scaled.shape[1] > _FEATURES < len(scaled):
        from sklearn.decomposition import PCA

        scaled = PCA(_FEATURES, svd_solver="randomized", random_state=0).fit_transform(scaled)
    return np.asarray(scaled / (np.linalg.norm(scaled, axis=1, keepdims=True) + 1e-6), dtype=np.float32)


def hash_distances(hashes: NDArray[np.uint64], pairs: Pairs) -> NDArray[np.int64]:
    """(P,) differing bits of the two hashes of each pair, 0 … 64."""
    return np.asarray(np.bitwise_count(hashes[pairs[:, 0]] ^ hashes[pairs[:, 1]]), dtype=np.int64)


def _nearest_hashes(hashes: NDArray[np.uint64]) -> Pairs:
    return _first_of(len(hashes), lambda rows: np.bitwise_count(hashes[rows, None] ^ hashes[None]))


def _nearest(units: NDArray[np.float32]) -> Pairs:
    return _first_of(len(units), lambda rows: -(units[rows] @ units.T))


def _first_of(number: int, distances_of: Distances) -> Pairs:
    """Pairs of each row with those that are nearest to it, block by block."""
    if number < 2:
        return np.empty((0, 2), np.int64)
    neighbours = min(NEIGHBOURS, number - 1)
    found = []
    for rows in _blocks(number):
        distances = distances_of(rows)
        nearest = np.argpartition(distances, neighbours, axis=1)[:, : neighbours + 1]  # one of them is the image itself
        found.append(np.stack([np.repeat(rows, neighbours + 1), nearest.ravel()], axis=1))
    pairs = np.concatenate(found)
    return np.asarray(pairs[pairs[:, 0] != pairs[:, 1]], dtype=np.int64)


def _blocks(number: int) -> Iterator[NDArray[np.int64]]:
    step = max(1, _BLOCK // number)
    for start in range(0, number, step):
        yield np.arange(start, min(start + step, number))
