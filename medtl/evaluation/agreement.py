"""Agreement beyond chance, and means over classes by their size, out of confusion matrices.

Arrays as in :mod:`medtl.evaluation.confusion`: `confusion` (…, K, K), rows = truth, and `unread` (…, K). "No answer" is one more thing an
image can be called, which it never is: it counts against. Undefined values are NaN.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def mcc(confusion: ArrayLike, unread: ArrayLike) -> Floats:
    """(…) Matthews' correlation of truth and prediction, in [-1, 1]; of several classes Gorodkin's R_K (Comput Biol Chem 2004).

    NaN where all images are of one class, or all are called one.
    """
    n, hits, of_class, called = _margins(confusion, unread)
    covariance = hits * n - (of_class * called[..., :-1]).sum(axis=-1)
    spread = (n**2 - (of_class**2).sum(axis=-1)) * (n**2 - (called**2).sum(axis=-1))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(spread > 0, covariance / np.sqrt(spread), np.nan)


def kappa(confusion: ArrayLike, unread: ArrayLike) -> Floats:
    """(…) Cohen's kappa (1960), in [-1, 1]: (accuracy - chance) / (1 - chance), with :func:`chance`. NaN where chance is 1."""
    n, hits, _, _ = _margins(confusion, unread)
    expected = chance(confusion, unread)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(expected < 1, (hits / n - expected) / (1 - expected), np.nan)


def chance(confusion: ArrayLike, unread: ArrayLike) -> Floats:
    """(…) the accuracy of calling images at random, each class as often as it was called."""
    n, _, of_class, called = _margins(confusion, unread)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(n > 0, (of_class * called[..., :-1]).sum(axis=-1) / n**2, np.nan)


def by_support(per_class: ArrayLike, support: ArrayLike) -> Floats:
    """(…, K) → (…) mean over classes, each weighed by its images `support` (…, K). A class without images weighs nothing; one with images
    that was never called has a precision of 0 here, as in scikit-learn. NaN where there is no image."""
    values, weights = np.asarray(per_class, dtype=np.float64), np.asarray(support, dtype=np.float64)
    total = weights.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(total > 0, (np.nan_to_num(values) * weights).sum(axis=-1) / total, np.nan)


def _margins(confusion: ArrayLike, unread: ArrayLike) -> tuple[Floats, Floats, Floats, Floats]:
    """Images (…), hits (…), of each class (…, K), called each class or nothing (…, K + 1)."""
    table, silent = np.asarray(confusion, dtype=np.float64), np.asarray(unread, dtype=np.float64)
    of_class = table.sum(axis=-1) + silent
    called = np.concatenate([table.sum(axis=-2), silent.sum(axis=-1, keepdims=True)], axis=-1)
    return of_class.sum(axis=-1), np.diagonal(table, axis1=-2, axis2=-1).sum(axis=-1), of_class, called
