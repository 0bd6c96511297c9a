"""How far the probabilities are from the truth: Brier score, log loss and expected calibration error."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
BINS = 15
SMALLEST = float(np.finfo(np.float64).eps)
"""Probabilities nearer to 0 or 1 than this (2.2e-16) count as this far, as in scikit-learn: a log loss is finite."""


def brier_terms(truth: ArrayLike, probabilities: ArrayLike, positive: int | None = None) -> Floats:
    """(N,) each image's squared distance; their mean is the Brier score (Brier 1950), lower is better.

    Two classes: (p of the positive class - 1 or 0)², in [0, 1], as clinical studies report it (an uninformed p = 0.5 scores
    0.25). Several: summed over classes, in [0, 2]. `truth` (N,) positions, `probabilities` (N, K), `positive` (default: the second).
    """
    true, p = np.asarray(truth, dtype=np.int64), np.asarray(probabilities, dtype=np.float64)
    squares = (p - np.eye(p.shape[1])[true]) ** 2
    return squares[:, 1 if positive is None else positive] if p.shape[1] == 2 else squares.sum(axis=1)


def log_loss_terms(truth: ArrayLike, probabilities: ArrayLike) -> Floats:
    """(N,) each image's -log p of its true class (natural logarithm), p at least :data:`SMALLEST`; their mean is the log loss."""
    true, p = np.asarray(truth, dtype=np.int64), np.asarray(probabilities, dtype=np.float64)
    return np.asarray(-np.log(np.clip(p[np.arange(len(true)), true], SMALLEST, 1)))


def log_odds(p: Floats) -> Floats:
    """log(p / (1 - p)), p at least :data:`SMALLEST` from 0 and from 1."""
    inside = np.clip(p, SMALLEST, 1 - SMALLEST)
    return np.asarray(np.log(inside) - np.log1p(-inside))


def calibration_gaps(truth: ArrayLike, probabilities: ArrayLike) -> Floats:
    """(N, BINS) each image's (right or wrong) - (confidence), standing in the bin of its confidence.

    The top label's probability is the confidence; bins are 15 equal widths of (0, 1], right edge included. Sums over images
    stay sums, so groups and bootstrap weights can be summed before :func:`calibration_error` takes the absolute values.
    """
    true, p = np.asarray(truth, dtype=np.int64), np.asarray(probabilities, dtype=np.float64)
    rows, top = np.arange(len(true)), np.argmax(p, axis=1)
    confidence = p[rows, top]
    gaps = np.zeros((len(true), BINS))
    gaps[rows, np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)] = (top == true) - confidence
    return gaps


def calibration_error(summed_gaps: Floats, images: ArrayLike) -> Floats:
    """(…, BINS) summed gaps of so many `images` (…) → (…) expected calibration error in [0, 1] (Naeini et al., AAAI 2015)."""
    error: Floats = np.abs(summed_gaps).sum(axis=-1) / np.asarray(images, dtype=np.float64)
    return error
