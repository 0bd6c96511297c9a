"""What was measured of the images, column by column: is it distributed at the target as at the source?

Numbers by the Kolmogorov-Smirnov distance (the largest difference of the two shares of images below a value), words by the total
variation (half the summed differences of their shares); both in [0, 1]. What is unknown is a value like any other. The standardised mean
difference says in which direction, and how far in standard deviations (Cohen's d with the two variances averaged).

One test for all columns: each is judged by how far it exceeds its own null, in standard deviations of the null, and the largest
excess is held against the largest excess of each draw of the null (Westfall & Young 1993), so that many columns do not make an alarm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from medtl.audit.joined import numbers_of
from medtl.shift.draws import Draws, p_value

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

KOLMOGOROV_SPREAD = 0.26
"""Standard deviation of Kolmogorov's distribution: the least spread of a null, which a constant column has none of."""


@dataclass(frozen=True)
class Coded:
    """A column as positions of its values among all that occur; words have no order."""

    name: str
    codes: Ints
    levels: int
    numbers: Floats | None
    """(N,) NaN where unknown; None for words."""


@dataclass(frozen=True)
class ColumnShift:
    """One column at both places."""

    name: str
    distance: float
    """Kolmogorov-Smirnov, or total variation of words."""
    null_high: float
    """Of 95 of 100 halves of the source it is at most this."""
    excess: float
    """By so many standard deviations of the null the distance lies above its mean."""
    stands_out: bool
    """The excess is beyond that of any column in 95 of 100 halves."""
    difference: float | None
    """Standardised mean difference, target minus source; None for words."""
    source: str
    target: str
    """The median, or the commonest word with its share."""


@dataclass(frozen=True)
class ColumnsCompared:
    """All columns, the most excessive first, and the one test of them together."""

    columns: Sequence[ColumnShift]
    largest: float
    null: Floats
    """(D,) the largest excess of each half."""
    p: float


def coded(values: pd.Series) -> Coded:
    """A column of the pooled rows (N,)."""
    numbers = numbers_of(values)
    if numbers is None:
        places, words = pd.factorize(values.fillna("").astype(str), sort=True)
        return Coded(str(values.name), np.asarray(places, np.int64), len(words), None)
    filled = np.where(np.isfinite(numbers), numbers, -np.inf)  # the unknown are one value, below all others
    levels, codes = np.unique(filled, return_inverse=True)
    return Coded(str(values.name), np.asarray(codes, np.int64), len(levels), np.asarray(numbers, np.float64))


def distance(column: Coded, near: Ints, far: Ints, near_weights: Floats | None = None) -> float:
    """Between the rows `near`, weighing `near_weights`, and the rows `far`; in [0, 1]."""
    weights = np.ones(len(near)) if near_weights is None else near_weights
    ours = np.bincount(column.codes[near], weights, column.levels) / weights.sum()
    theirs = np.bincount(column.codes[far], minlength=column.levels) / len(far)
    if column.numbers is None:
        return float(np.abs(ours - theirs).sum() / 2)
    return float(np.abs(np.cumsum(ours - theirs)).max())


def mean_difference(source: ArrayLike, target: ArrayLike) -> float | None:
    """(mean of the target - mean of the source) / sqrt of the mean of their variances, over what is known; None where nothing varies."""
    ours, theirs = (each[np.isfinite(each)] for each in (np.asarray(source, np.float64), np.asarray(target, np.float64)))
    if min(len(ours), len(theirs)) < 2:
        return None
    spread = np.sqrt((ours.var(ddof=1) + theirs.var(ddof=1)) / 2)
    return float((theirs.mean() - ours.mean()) / spread) if spread > 0 else None


def excesses(null: Floats, observed: Floats, sizes: tuple[int, int]) -> tuple[Floats, Floats]:
    """(D, C) distances of the null and (E, C) of the observed draws → (D, C) and (C,): above the null's mean, in its standard deviations.

    sizes: of the near and the far sample.
    """
    least = KOLMOGOROV_SPREAD * np.sqrt(1 / sizes[0] + 1 / sizes[1])
    mean, spread = null.mean(axis=0), np.maximum(null.std(axis=0), least)
    return (null - mean) / spread, (np.median(observed, axis=0) - mean) / spread


def distances(columns: Sequence[Coded], draws: Draws, weights: Floats | None = None) -> Floats:
    """(D, C)."""
    own = [None] * len(draws) if weights is None else list(weights)
    return np.array([[distance(each, near, far, w) for each in columns] for near, far, w in zip(draws.near, draws.far, own, strict=True)])


def compare(source: pd.DataFrame, target: pd.DataFrame, null: Draws, observed: Draws) -> ColumnsCompared | None:
    """Every column that both tables (N and M rows) have; None where nothing varies in any."""
    names = [name for name in source.columns if name in target.columns]
    pooled = pd.concat([source[names], target[names]], ignore_index=True)
    columns = [column for column in (coded(pooled[name]) for name in names) if column.levels > 1]
    if not columns:
        return None
    raw, seen = distances(columns, null), distances(columns, observed)
    each, found = excesses(raw, seen, (null.near.shape[1], null.far.shape[1]))
    largest = each.max(axis=1)
    limit = float(np.quantile(largest, 0.95))
    told = [
        ColumnShift(
            column.name, float(np.median(seen[:, k])), float(np.quantile(raw[:, k], 0.95)), float(found[k]), bool(found[k] > limit),
            None if column.numbers is None else mean_difference(column.numbers[: len(source)], column.numbers[len(source) :]),
            _typical(column, pooled[column.name][: len(source)], slice(0, len(source))),
            _typical(column, pooled[column.name][len(source) :], slice(len(source), None)),
        )
        for k, column in enumerate(columns)
    ]  # fmt: skip
    told.sort(key=lambda column: -column.excess)
    return ColumnsCompared(told, float(found.max()), largest, p_value(largest, float(found.max())))


def _typical(column: Coded, values: pd.Series, rows: slice) -> str:
    if column.numbers is None:
        shares = values.fillna("").astype(str).value_counts(normalize=True)
        return f"{shares.index[0] or 'unknown'} ({100 * shares.iloc[0]:.0f} %)"
    own = column.numbers[rows]
    if not np.isfinite(own).any():
        return "unknown"
    median = float(np.nanmedian(own))
    return f"{median:,.0f}" if abs(median) >= 1000 else f"{median:.4g}"
