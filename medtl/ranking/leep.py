"""LEEP: how well the source task's own classes tell the target's.

Nguyen, Hassner, Seeger & Archambeau, "LEEP: A New Measure to Evaluate Transferability of Learned Representations", ICML 2020.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def leep(probabilities: NDArray[np.floating], targets: NDArray[np.int64], classes: int) -> float:
    """The mean log-likelihood of the targets under the "expected empirical predictor"; at most 0, higher is better, in nats.

    probabilities (N, Z): of the source model's Z classes for each target image, rows sum to 1. targets (N,) in 0 … classes - 1.
    P(y, z) is the mean over images with target y of p(z), P(y | z) = P(y, z) / P(z), and an image's likelihood is the sum over z
    of P(y | z) p(z). A source class that no image is given any probability of tells nothing and is left out. ValueError without images.

    >>> leep(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), np.array([0, 0, 1]), 2)
    0.0
    """
    given = np.asarray(probabilities, np.float64)
    if not len(given):
        raise ValueError("LEEP needs at least one image")
    joint = np.eye(classes)[targets].T @ given / len(given)
    marginal = joint.sum(axis=0)
    told = marginal > 0
    likelihoods = given[:, told] @ (joint[:, told] / marginal[told]).T
    return float(np.log(likelihoods[np.arange(len(given)), targets]).mean())
