"""The prior shift that a loss or a sampler brings in, and how it is undone.

Training on reweighted or resampled classes makes the network answer for other class frequencies than the data's: its
logits are off by log(frequency trained for / frequency in the data) per class (Saerens, Latinne & Decaestecker,
Adjusting the Outputs of a Classifier to New a Priori Probabilities, 2002). What shifts the prior declares that vector.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medtl.errors import MedtlError


def remove(logits: ArrayLike, log_shift: ArrayLike) -> NDArray[np.float64]:
    """(N, K) logits without the declared shift (K,): `logits - log_shift`. Zeros change nothing; NaN rows stay NaN."""
    given, shift = np.asarray(logits, dtype=np.float64), np.asarray(log_shift, dtype=np.float64)
    if given.ndim != 2 or shift.shape != given.shape[1:] or not np.isfinite(shift).all():
        raise MedtlError(f"prior shift: {shift.size} numbers for logits of shape {given.shape}; expected one finite number per class")
    return given - shift
