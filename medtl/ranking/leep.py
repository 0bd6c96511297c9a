"""LEEP: how well the source task's own classes tell the target's.

Nguyen, Hassner, Seeger & Archambeau, "LEEP: A New Measure to Evaluate Transferability of Learned Representations", ICML 2020.
The source may also be a task of findings together: its labels are then the sets of findings that an image may have.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST_FINDINGS = 10
"""Of a source: their 1,024 sets are as many labels as ImageNet's classes; more would fit any target's few images by chance."""


def sets_of_findings(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """(N, K) probabilities of a source's findings, each by itself → (N, 2^K) of every set of them; rows sum to 1.

    Independent given the image, as a sigmoid for each finding has learned them. ValueError for more than MOST_FINDINGS.

    >>> sets_of_findings(np.array([[0.5, 0.25]])).tolist()
    [[0.375, 0.375, 0.125, 0.125]]
    """
    given = np.asarray(probabilities, np.float64)
    if given.shape[1] > MOST_FINDINGS:
        raise ValueError(f"{given.shape[1]} findings have too many sets; at most {MOST_FINDINGS}")
    sets = np.ones((len(given), 1))
    for present in given.T[:, :, None]:
        sets = np.concatenate([sets * (1 - present), sets * present], axis=1)
    return sets


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
