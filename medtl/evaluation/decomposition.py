"""What a Brier score is made of: Brier = reliability - resolution + uncertainty (Murphy, J Appl Meteorol 1973), exactly.

Probabilities are put into ten bins of equal width. *Reliability*: how far they lie from the shares observed (0 is best). *Uncertainty*: the
score of always saying the prevalence. *Resolution*: what telling cases apart wins over that. Inside a bin probabilities differ too, which
Murphy's terms leave as a residual; it is counted with resolution (the generalised resolution of Stephenson, Coelho & Jolliffe, Weather and
Forecasting 2008), so that the sum is exact; resolution can then be a little below 0. Several classes: each against the rest, summed, as
the Brier score is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
BINS = 10


def binned(truth: NDArray[np.int64], probabilities: Floats, groups: NDArray[np.int64], number: int, positive: int | None) -> Floats:
    """(number, J, BINS, 2) per group, judged class and bin: images, and the sum of p - (1 or 0).

    J: the positive class (default: the second) of two, else all K. `truth`, `groups` (N,), `probabilities` (N, K).
    """
    judged = [1 if positive is None else positive] if probabilities.shape[1] == 2 else list(range(probabilities.shape[1]))
    sums = np.zeros((number, len(judged), BINS, 2))
    for place, k in enumerate(judged):
        p = probabilities[:, k]
        cell = groups * BINS + np.clip((p * BINS).astype(np.int64), 0, BINS - 1)
        for part, weights in enumerate((None, p - (truth == k))):
            sums[:, place, :, part] = np.bincount(cell, weights=weights, minlength=number * BINS).reshape(number, BINS)
    return sums


def reliability(images: Floats, gaps: Floats) -> Floats:
    """(…, J, BINS) images and summed gaps → (…): mean squared gap between probability and share, over images, summed over classes."""
    with np.errstate(divide="ignore", invalid="ignore"):
        squares = np.where(images > 0, gaps**2 / images, 0).sum(axis=(-2, -1))
        return np.asarray(squares / images[..., 0, :].sum(axis=-1))


def uncertainty(shares: Floats) -> Floats:
    """(…, J) share of each judged class → (…): Σ share (1 - share)."""
    return np.asarray((shares * (1 - shares)).sum(axis=-1))
