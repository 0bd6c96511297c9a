"""How unlike the training images an image is, by the features that its model's own answer is made of.

Few coordinates: the directions in which the training images differ most (principal components), and how far an image lies off all of them,
which no direction would show; in units of their covariance, shrunk after Ledoit & Wolf (2004). In them, two measures:

- `mahalanobis`: distance from the training images' mean (Lee et al., A Simple Unified Framework for Detecting Out-of-Distribution Samples,
  NeurIPS 2018, with one mean for all classes).
- `knn`: distance to the k-th nearest training image (Sun et al., Out-of-Distribution Detection with Deep Nearest Neighbors, ICML 2022, who
  scale features to length 1 instead, which told much less here: docs/gate.md).

Which is better depends on network and images, so the one is taken that tells validation images from outliers made of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist
from scipy.stats import beta, rankdata

Floats = NDArray[np.float64]
Stored = NDArray[np.float32]
Method = Literal["mahalanobis", "knn"]
METHODS: tuple[Method, ...] = ("mahalanobis", "knn")

DIMENSIONS = 64
"""With 32, made outliers were told less well (docs/gate.md)."""
PER_DIMENSION = 5
"""Training images for each dimension at least; with fewer, fewer dimensions."""
NEIGHBOUR = 10
CLEARLY = 0.005
"""So much better must kNN be, which has to keep coordinates of single images."""
CONFIDENCE = 0.95
_AT_ONCE = 4096


@dataclass(frozen=True)
class Detector:
    """Fitted on training images; float32, as it is stored."""

    method: Method
    centre: Stored
    """(D,)"""
    axes: Stored
    """(D, d), orthonormal."""
    units: Stored
    """(d + 2, d + 1): the coordinates' mean, and below it what makes their covariance one."""
    reference: Stored
    """(n, d + 1) what distances are measured to: of `mahalanobis` the mean alone, of `knn` training images."""

    def coordinates(self, features: ArrayLike) -> Floats:
        """(N, D) features → (N, d + 1): along the axes, and off them; of mean 0 and covariance 1 over the training images."""
        return _in_units(_coordinates(np.asarray(features, np.float64), self.centre, self.axes), self.units)

    def scores(self, features: ArrayLike) -> Floats:
        """(N, D) features → (N,) how unlike the training images, ≥ 0; NaN where features are not finite."""
        given = self.coordinates(features)
        place = min(NEIGHBOUR, len(self.reference)) - 1
        scores = np.empty(len(given))
        for start in range(0, len(given), _AT_ONCE):
            distances = cdist(given[start : start + _AT_ONCE], self.reference.astype(np.float64))
            scores[start : start + _AT_ONCE] = np.partition(distances, place, axis=1)[:, place]
        return scores


def fit(features: ArrayLike, method: Method) -> Detector:
    """From (n, D) finite features of n ≥ 2 training images."""
    from sklearn.covariance import ledoit_wolf

    given = np.asarray(features, np.float64)
    centre = given.mean(axis=0)
    few = max(1, min(DIMENSIONS, given.shape[1], len(given) // PER_DIMENSION))
    axes = np.linalg.svd(given - centre, full_matrices=False)[2][:few].T
    stored = centre.astype(np.float32), np.ascontiguousarray(axes, np.float32)
    own = _coordinates(given, *stored)
    mean, spread = own.mean(axis=0), own.std(axis=0)
    spread = np.maximum(spread, max(1e-12, 1e-3 * float(spread.max())))  # where next to nothing differs, rounding would be a distance
    shrunk = ledoit_wolf((own - mean) / spread)[0] + 1e-6 * np.eye(len(mean))
    inverse = np.linalg.inv(shrunk) / np.outer(spread, spread)
    units = np.vstack([mean, np.linalg.cholesky(inverse)]).astype(np.float32)
    reference = _in_units(own, units) if method == "knn" else np.zeros((1, len(mean)))
    return Detector(method, *stored, units, reference.astype(np.float32))


def _coordinates(given: Floats, centre: Stored, axes: Stored) -> Floats:
    """(N, d + 1): along the axes, and the distance from the space that they span."""
    off = given - centre
    along = off @ axes
    return np.column_stack([along, np.linalg.norm(off - along @ axes.T, axis=1)])


def _in_units(coordinates: Floats, units: Stored) -> Floats:
    """(N, d + 1), of mean 0 and covariance 1 over the training images."""
    return np.asarray((coordinates - units[0]) @ units[1:].astype(np.float64), np.float64)


def auroc(inside: ArrayLike, outside: ArrayLike) -> float:
    """Chance that an outlier has the higher score than an image of the kind that the model is for, ties half.

    >>> auroc([1, 2], [2, 3])
    0.875
    """
    low, high = np.asarray(inside, np.float64), np.asarray(outside, np.float64)
    ranks = rankdata(np.concatenate([low, high]))[len(low) :]
    return float((ranks.sum() - len(high) * (len(high) + 1) / 2) / (len(low) * len(high)))


@dataclass(frozen=True)
class Limit:
    """From which score on an image is refused, and of how many images like validation's that may cost the answer."""

    value: float
    expected: float
    """In the mean over validation sets as large as this one, at most this share of groups (patients) has any image refused."""
    at_most: float
    """… and of 95 of 100 such validation sets at most this share."""
    groups: int


def limit(scores: ArrayLike, groups: ArrayLike, refuse: float) -> Limit:
    """From (N,) scores of validation images, of the (N,) groups that they belong to, and the share that may be refused.

    A group counts by its strangest image, so the share is of groups of which *any* image is refused, and of images it is smaller. With G
    groups and the limit at the k-th smallest, a further group of the same kind exceeds it with a chance of (G + 1 - k) / (G + 1) at most,
    whatever the scores' distribution; the share itself is Beta(G + 1 - k, k) distributed (Wilks 1941; as in split conformal prediction).
    Where no k keeps the share, the limit stands beyond the largest score, by as much as that is above the median: little is refused, and
    what is promised is only what so few groups can: 1 / (G + 1).
    """
    given = np.asarray(scores, np.float64)
    _, place = np.unique(np.asarray(groups), return_inverse=True)
    worst = np.full(place.max() + 1, -math.inf)
    np.maximum.at(worst, place, given)
    worst.sort()
    count = len(worst)
    rank = math.ceil((count + 1) * (1 - refuse) - 1e-9)
    kept, rank = rank <= count, min(rank, count)
    beyond = 0.0 if kept else float(worst[-1] - np.median(worst))
    expected, at_most = (count + 1 - rank) / (count + 1), float(beta.ppf(CONFIDENCE, count + 1 - rank, rank))
    return Limit(float(worst[rank - 1]) + beyond, expected, at_most, count)


@dataclass(frozen=True)
class Chosen:
    """The better of the two measures, and what each of them reached."""

    detector: Detector
    aurocs: dict[str, dict[str, float]]
    """Method → kind of outlier → AUROC against validation."""


def choose(training: ArrayLike, validation: ArrayLike, outliers: Mapping[str, ArrayLike]) -> Chosen:
    """Fit both on the features of training images and take the one with the (clearly) higher mean AUROC over the kinds of outliers."""
    detectors = {method: fit(training, method) for method in METHODS}
    aurocs = {
        method: {kind: auroc(each.scores(validation), each.scores(made)) for kind, made in outliers.items()}
        for method, each in detectors.items()
    }
    means = {method: float(np.mean(list(kinds.values()))) for method, kinds in aurocs.items()}
    best: Method = "knn" if means["knn"] > means["mahalanobis"] + CLEARLY else "mahalanobis"
    return Chosen(detectors[best], {str(method): kinds for method, kinds in aurocs.items()})
