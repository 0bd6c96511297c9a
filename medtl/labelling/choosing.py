"""Which images to label next: a third at random, the others one from each of as many clusters of features.

Clusters of k-means weighted by how unsure a model is of each image (Zhdanov, "Diverse mini-batch Active Learning", arXiv 1901.05954, 2019);
without a model all images count alike, which is what works before there are labels (Hacohen, Dekel & Weinshall, "Active learning on a
budget", ICML 2022). Chosen images tell nothing of how often a class occurs, and a threshold or a calibration fitted on them is wrong where
the model will work: the third at random is flagged, and only it may feed priors, calibration, thresholds and a release.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.cluster import KMeans

from medtl.errors import MedtlError

AT_RANDOM, FOR_VARIETY, FOR_VARIETY_AND_DOUBT = "at random", "for variety", "for variety and doubt"
"""Why an image was chosen, in tables."""
RANDOM_SHARE = 1 / 3
DIRECTIONS = 50
"""Principal directions of the features in which clusters are sought: distances in thousands of dimensions say little."""


@dataclass(frozen=True)
class Chosen:
    """Images to label, the ones at random first."""

    positions: NDArray[np.int64]
    """(B,) rows of the features."""
    at_random: NDArray[np.bool_]
    """(B,) whether chance alone chose the image."""


def choose(features: ArrayLike, count: int, seed: int, groups: ArrayLike | None = None, unsure: ArrayLike | None = None) -> Chosen:
    """Choose `count` of N images by their features (N, D), finite and each of a size that suits its weight.

    groups: (N,) patients; a patient is taken twice only where there are fewer patients than labels. unsure: (N,) ≥ 0, weights of the
    images in the clustering, such as the entropy of a model's answers; default: all alike. Raises MedtlError where there are fewer images.
    """
    given = np.asarray(features, np.float64)
    if not 0 < count <= len(given):
        raise MedtlError(f"{count} images cannot be chosen from {len(given)}; allowed: 1 to {len(given)}")
    owner = np.arange(len(given)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    chance = np.random.default_rng(seed)
    taken: list[int] = []
    _take(taken, chance.permutation(len(given)), owner, _random_share(count))
    drawn = len(taken)
    for cluster in _clusters(given, count - drawn, np.ones(len(given)) if unsure is None else np.asarray(unsure, np.float64), chance):
        _take(taken, cluster, owner, 1)
    for again in (False, True):  # where clusters held nobody new, or there are fewer patients than labels
        _take(taken, chance.permutation(len(given)), owner, count - len(taken), again)
    return Chosen(np.array(taken, np.int64), np.arange(count) < drawn)


def _random_share(count: int) -> int:
    return max(1, round(RANDOM_SHARE * count))


def _take(taken: list[int], order: NDArray[np.int64], owner: NDArray[np.int64], most: int, again: bool = False) -> None:
    """Append up to `most` of `order` that are new, of patients not taken yet; `again`: of any patient."""
    left = most
    for position in map(int, order):
        if left and position not in taken and (again or owner[position] not in owner[taken]):
            taken.append(position)
            left -= 1


def _clusters(
    features: NDArray[np.float64], count: int, weights: NDArray[np.float64], chance: np.random.Generator
) -> list[NDArray[np.int64]]:
    """`count` clusters, each as positions from its middle outwards."""
    if count == 0:
        return []
    centred = features - features.mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    low = centred @ directions[:DIRECTIONS].T
    found = KMeans(count, n_init=1, random_state=int(chance.integers(2**31))).fit(low, sample_weight=np.maximum(weights, 1e-9))
    away = np.square(low - found.cluster_centers_[found.labels_]).sum(axis=1)
    near = np.argsort(away, kind="stable")
    return [near[found.labels_[near] == cluster] for cluster in range(count)]
