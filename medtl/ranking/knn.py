"""What an image's nearest neighbours say of its class: among all images but its own patient's, or among the images of training.

Votes weighted as in Wu, Xiong, Yu & Lin, "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", CVPR 2018.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NEIGHBOURS = 10
TEMPERATURE = 0.07
"""A vote weighs exp(cosine / TEMPERATURE), as in the paper."""
_AT_ONCE = 512


def neighbours_votes(
    features: NDArray[np.floating], targets: NDArray[np.int64], groups: NDArray[np.integer], classes: int, neighbours: int = NEIGHBOURS
) -> NDArray[np.float64]:
    """(N, K) shares of the votes of each image's nearest images by cosine, those of its own group left out; rows sum to 1.

    features (N, D), targets (N,) in 0 … classes - 1, groups (N,): patients, lesions … . Features are centred first, for those of a
    network have a large common part that says nothing. An image without any other group gets equal shares.
    """
    given = np.asarray(features, np.float32)
    given = given - given.mean(axis=0)
    given /= np.maximum(np.linalg.norm(given, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    one_hot = np.eye(classes)[targets]
    votes = np.full((len(given), classes), 1 / classes)
    most = min(neighbours, len(given))
    for start in range(0, len(given), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        likeness = given[part] @ given.T
        likeness[groups[part, None] == groups[None, :]] = -np.inf
        nearest = np.argpartition(-likeness, most - 1, axis=1)[:, :most]
        near = np.take_along_axis(likeness, nearest, axis=1).astype(np.float64)
        known = np.isfinite(near).any(axis=1)
        weights = np.exp((near[known] - near[known].max(axis=1, keepdims=True)) / TEMPERATURE)
        counted = np.einsum("ij,ijk->ik", weights, one_hot[nearest[known]])
        votes[np.flatnonzero(known) + start] = counted / counted.sum(axis=1, keepdims=True)
    return votes


def votes_of_training(
    features: NDArray[np.floating], marks: NDArray[np.float64], asked: NDArray[np.floating], neighbours: int = NEIGHBOURS
) -> NDArray[np.float64]:
    """(M, K) shares of the votes for each class of the nearest training images, of images `asked` (M, D) that are none of them.

    `features` (N, D) of training, `marks` (N, K): 1 = of the class, 0 = not, NaN = unknown, which does not vote (of a class about which no
    neighbour knows anything the share is that of all of training). Centred by the mean of training, weighted as above.
    """
    known = np.asarray(features, np.float32)
    centre = known.mean(axis=0)
    known, given = known - centre, np.asarray(asked, np.float32) - centre
    for each in (known, given):
        each /= np.maximum(np.linalg.norm(each, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    most, there, overall = min(neighbours, len(known)), np.isfinite(marks), np.nanmean(marks, axis=0)
    votes = np.empty((len(given), marks.shape[1]))
    for start in range(0, len(given), _AT_ONCE):
        likeness = given[start : start + _AT_ONCE] @ known.T
        nearest = np.argpartition(-likeness, most - 1, axis=1)[:, :most]
        near = np.take_along_axis(likeness, nearest, axis=1).astype(np.float64)
        weights = np.exp((near - near.max(axis=1, keepdims=True)) / TEMPERATURE)
        told = np.einsum("ij,ijk->ik", weights, there[nearest].astype(np.float64))
        own = np.einsum("ij,ijk->ik", weights, np.nan_to_num(marks)[nearest])
        votes[start : start + len(told)] = np.where(told > 0, own / np.where(told > 0, told, 1), overall)
    return votes
