"""H-score: how far the class means lie apart, measured by the features' own spread.

Bao et al., "An Information-Theoretic Approach to Transferability in Task Transfer Learning", ICIP 2019; with the shrunken covariance of
Ibrahim, Ponomareva & Mazumder, "Newer is not always better: Rethinking transferability metrics, their peculiarities, stability and
performance", ECML PKDD 2022, without which it is meaningless where features are about as many as images.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def h_score(features: NDArray[np.floating], targets: NDArray[np.int64], shrinkage: float | None = None) -> float:
    """tr(S⁻¹ (1 - a) B): S the covariance of the features shrunk by `a`, B that of their class means; at least 0, higher is better.

    features (N, D), targets (N,). shrinkage in [0, 1]; default: what Ledoit & Wolf (2004) find best for these features. Never above the
    number of classes - 1 without shrinkage. ValueError for fewer than two images.
    """
    given = np.asarray(features, np.float64)
    if len(given) < 2:
        raise ValueError("the H-score needs at least two images")
    centred = given - given.mean(axis=0)
    spread = centred.T @ centred / len(centred)
    share = _ledoit_wolf(centred) if shrinkage is None else shrinkage
    level = float(np.trace(spread)) / spread.shape[0]
    if level == 0:
        return 0.0  # every image has the same features
    shrunk = (1 - share) * spread
    shrunk[np.diag_indices_from(shrunk)] += share * level
    names, counts = np.unique(targets, return_counts=True)
    means = np.stack([centred[targets == name].mean(axis=0) for name in names])
    solved = np.linalg.lstsq(shrunk, means.T, rcond=None)[0] if share == 0 else np.linalg.solve(shrunk, means.T)
    return float((1 - share) * (counts / len(centred)) @ (means * solved.T).sum(axis=1))


def _ledoit_wolf(centred: NDArray[np.float64]) -> float:
    from sklearn.covariance import ledoit_wolf_shrinkage

    return float(ledoit_wolf_shrinkage(centred, assume_centered=True))
