"""The confusion matrix and what follows from it. Rows = truth, columns = predicted.

Arrays may carry leading axes (bootstrap resamples): `confusion` (…, K, K), `unread` (…, K). An image without a prediction
stands in no column; it is counted per true class in `unread` and stays in the denominators of accuracy, recall and F1.
Undefined values (nothing in the denominator) are NaN.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def confusion(truth: ArrayLike, predicted: ArrayLike, classes: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(K, K) counts of `truth` (N,) × `predicted` (N,), and (K,) counts of the unread (`predicted` = -1)."""
    true, given = np.asarray(truth, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    cells = np.bincount(true * (classes + 1) + given + 1, minlength=classes * (classes + 1)).reshape(classes, classes + 1)
    return cells[:, 1:], cells[:, 0]


def precision(confusion: ArrayLike) -> Floats:
    """(…, K) share of the images called this class that are of it; NaN for a class never predicted."""
    table = np.asarray(confusion, dtype=np.float64)
    return _ratio(_hits(table), table.sum(axis=-2))


def recall(confusion: ArrayLike, unread: ArrayLike) -> Floats:
    """(…, K) share of the class's images that are called it; NaN for a class without images."""
    table = np.asarray(confusion, dtype=np.float64)
    return _ratio(_hits(table), table.sum(axis=-1) + unread)


def f1(confusion: ArrayLike, unread: ArrayLike) -> Floats:
    """(…, K) 2 TP / (2 TP + FP + FN); NaN for a class without images."""
    table = np.asarray(confusion, dtype=np.float64)
    support = table.sum(axis=-1) + unread
    score = _ratio(2 * _hits(table), table.sum(axis=-2) + support)
    return np.where(support > 0, score, np.nan)


def accuracy(confusion: ArrayLike, unread: ArrayLike) -> Floats:
    """(…) share of all images that are called what they are."""
    table = np.asarray(confusion, dtype=np.float64)
    return _ratio(_hits(table).sum(axis=-1), table.sum(axis=(-2, -1)) + np.sum(unread, axis=-1))


def macro(per_class: ArrayLike) -> Floats:
    """(…, K) → (…) mean over the classes that have a value (those with images); NaN where none has.

    Macro-F1 of :func:`f1`; balanced accuracy of :func:`recall`.
    """
    values = np.asarray(per_class, dtype=np.float64)
    known = np.isfinite(values)
    return _ratio(np.where(known, values, 0).sum(axis=-1), known.sum(axis=-1).astype(np.float64))


def _hits(table: Floats) -> Floats:
    return np.diagonal(table, axis1=-2, axis2=-1)


def _ratio(part: Floats, whole: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(whole > 0, part / whole, np.nan)
