"""How much more one image of a rare class counts: shared by the losses and samplers that re-weight classes.

`counts` is (K,), images per class, where an image is of one class; or (K, 2), images without and with each class, where an image may
be of several: then each row is weighted by itself, as a task of two classes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medtl.errors import MedtlError

Array = NDArray[np.float64]


def inverse_frequency(counts: Array, power: float) -> Array:
    """Class weights proportional to (n / (K · n_k))^power, scaled so that the mean over the training images is 1; shape of `counts`.

    `power`: 0 = all ones, 1 = every class weighs the same in total ("balanced", King and Zeng 2001), 0.5 = in between.
    Raises MedtlError where a class has no image, for its weight would be infinite.

    >>> inverse_frequency(np.array([90.0, 10.0]), power=1.0).round(4).tolist()
    [0.5556, 5.0]
    """
    counts = np.asarray(counts, dtype=np.float64)
    if power == 0:
        return np.ones_like(counts)
    refuse_empty(counts)
    return _mean_one((counts.sum(axis=-1, keepdims=True) / (counts.shape[-1] * counts)) ** power, counts)


def effective_number(counts: Array, beta: float) -> Array:
    """Class weights proportional to (1 - beta) / (1 - beta^n_k), scaled so that the mean over the training images is 1.

    The inverse of the "effective number of samples" (Cui et al., CVPR 2019): beyond some 1 / (1 - beta) images, further ones of
    the class add nothing new. `beta` in [0, 1): 0 = all ones; towards 1 it becomes `inverse_frequency` with power 1.
    Raises MedtlError where a class has no image.

    >>> effective_number(np.array([2.0, 1.0]), beta=0.5).round(4).tolist()  # 1 / 1.5 and 1 / 1, over their mean 7/9
    [0.8571, 1.2857]
    """
    counts = np.asarray(counts, dtype=np.float64)
    if beta == 0:
        return np.ones_like(counts)
    refuse_empty(counts)
    return _mean_one((1 - beta) / -np.expm1(counts * np.log(beta)), counts)


def log_shift(weights: Array) -> Array:
    """What class weights add to the Bayes-optimal logits, (K,): log w_k; of (K, 2), to each class's log-odds: log w_k1 / w_k0."""
    logs = np.log(weights)
    return np.asarray(logs if logs.ndim == 1 else logs[:, 1] - logs[:, 0], dtype=np.float64)


def refuse_empty(counts: Array) -> None:
    """Raise MedtlError where a class has no training image, or where each class stands for itself, none with or none without it."""
    counts = np.asarray(counts)
    empty = np.flatnonzero((counts if counts.ndim == 1 else counts.min(axis=1)) <= 0)
    if len(empty):
        needed = (
            "at least one training image of every class; none of"
            if counts.ndim == 1
            else "training images with and without every class; not so for"
        )
        raise MedtlError(
            f"this way of treating rare classes needs {needed} class number {', '.join(map(str, empty))} (in the order of "
            "task.classes, from 0). Add images, merge the class with another, or choose a natural sampler and plain cross-entropy"
        )


def _mean_one(weights: Array, counts: Array) -> Array:
    mean = (weights * counts).sum(axis=-1, keepdims=True) / counts.sum(axis=-1, keepdims=True)
    return np.asarray(weights / mean, dtype=np.float64)
