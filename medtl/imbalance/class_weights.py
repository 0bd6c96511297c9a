"""How much more one image of a rare class counts: shared by the losses and samplers that re-weight classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medtl.errors import MedtlError

Array = NDArray[np.float64]


def inverse_frequency(counts: Array, power: float) -> Array:
    """Class weights proportional to (n / (K · n_k))^power, scaled so that the mean over the training images is 1.

    `counts`: (K,) images per class. `power`: 0 = all ones, 1 = every class weighs the same in total ("balanced", King and
    Zeng 2001), 0.5 = in between. Raises MedtlError where a class has no image, for its weight would be infinite.

    >>> inverse_frequency(np.array([90.0, 10.0]), power=1.0).round(4).tolist()
    [0.5556, 5.0]
    """
    counts = np.asarray(counts, dtype=np.float64)
    if power == 0:
        return np.ones_like(counts)
    empty = [str(index) for index in np.flatnonzero(counts <= 0)]
    if empty:
        raise MedtlError(
            f"class weights need at least one training image of every class; none of class number {', '.join(empty)} (in the order of "
            "task.classes, from 0). Add images, merge the class with another, or choose a natural sampler and plain cross-entropy"
        )
    weights = (counts.sum() / (len(counts) * counts)) ** power
    return np.asarray(weights / ((weights * counts).sum() / counts.sum()), dtype=np.float64)
