"""LogME: how well a linear model, its weights integrated out, explains the labels by the features.

You, Liu, Wang & Long, "LogME: Practical Assessment of Pre-trained Models for Transfer Learning", ICML 2021.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

Floats = NDArray[np.float64]

DECADES = (-8.0, 8.0)
"""Range of log10(alpha / beta), in units of the features' mean squared singular value, that is searched."""
STEPS = 65
NEGLIGIBLE = 1e-12
"""Eigenvalues below this share of the largest are rounding."""


def logme(features: NDArray[np.floating], targets: NDArray[np.int64], classes: int) -> float:
    """The mean over classes of the largest log evidence per image, of the class's 0/1 label; higher is better, in nats.

    features (N, D), targets (N,) in 0 … classes - 1. The model of a class is y ~ N(F w, 1 / beta), w ~ N(0, 1 / alpha). For a given
    ratio alpha / beta the best beta is closed, so that one number remains to be searched: the same maximum as the paper's fixed point,
    which may stop short of it. Classes without images are left out; ValueError where there are none or a value is not finite.
    """
    given = np.asarray(features, np.float64)
    if not len(given) or not np.isfinite(given).all():
        raise ValueError("LogME needs finite features of at least one image")
    squares, rotated = _spectrum(given, np.eye(classes)[targets])
    present = np.unique(targets)
    return float(np.mean([_largest_evidence(squares, rotated[:, k] ** 2, float((targets == k).sum()), len(given)) for k in present]))


def _spectrum(features: Floats, labels: Floats) -> tuple[Floats, Floats]:
    """Squared singular values (R,) of F, and labels (N, K) along its left singular vectors (R, K); by the smaller Gram matrix."""
    images, dimensions = features.shape
    tall = images >= dimensions
    squares, vectors = np.linalg.eigh(features.T @ features if tall else features @ features.T)
    kept = squares > NEGLIGIBLE * max(float(squares[-1]), np.finfo(np.float64).tiny)
    squares, vectors = squares[kept], vectors[:, kept]
    rotated = vectors.T @ (features.T @ labels) / np.sqrt(squares)[:, None] if tall else vectors.T @ labels
    return squares, rotated


def _largest_evidence(squares: Floats, energy: Floats, total: float, images: int) -> float:
    """Per image. energy (R,): the label's square along each direction; total: all of it (the number of ones)."""
    if not len(squares):
        return _evidence(1.0, squares, energy, total, images)
    unit = float(squares.mean())
    grid = np.linspace(*DECADES, STEPS)
    values = [_evidence(unit * 10.0**place, squares, energy, total, images) for place in grid]
    best = int(np.argmax(values))
    around = (grid[max(0, best - 1)], grid[min(STEPS - 1, best + 1)])
    refined = minimize_scalar(
        lambda place: -_evidence(unit * 10.0**place, squares, energy, total, images),
        bounds=around,
        method="bounded",
        options={"xatol": 1e-6},
    )
    return max(values[best], -float(refined.fun))


def _evidence(ratio: float, squares: Floats, energy: Floats, total: float, images: int) -> float:
    """Log evidence per image at alpha / beta = `ratio` and the beta that is best there."""
    shrunk = ratio / (ratio + squares)
    unexplained = max(float(energy @ shrunk) + max(total - float(energy.sum()), 0.0), np.finfo(np.float64).tiny)
    log_beta = np.log(images / unexplained)
    return float((images * (log_beta - 1 - np.log(2 * np.pi)) + np.log(shrunk).sum()) / (2 * images))
