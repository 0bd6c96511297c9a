"""Does a score rank the candidates as training does? Kendall's tau with its permutation test.

Kendall, "A New Measure of Rank Correlation", Biometrika 1938 (tau-b, which allows for ties).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

ENUMERATED = 8
"""Up to so many candidates every order is tried (8! = 40,320); above, DRAWS of them."""
DRAWS = 20_000
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Agreement:
    """Kendall's tau-b of `n` candidates, in [-1, 1], and how often chance does as well."""

    tau: float
    p: float
    """Two-sided: the share of all orders of the candidates whose tau is at least as far from 0."""
    n: int
    least_p: float
    """What a perfect agreement of n candidates without ties would give: few candidates cannot show much."""


def agreement(scores: ArrayLike, truth: ArrayLike) -> Agreement | None:
    """Of (n,) scores with the (n,) true values; where either is NaN the candidate is left out. None for fewer than three, or equal ones.

    >>> found = agreement([1, 2, 3, 4], [10, 20, 30, 40])
    >>> found.tau, found.p, found.n
    (1.0, 0.08333333333333333, 4)
    """
    one, other = np.asarray(scores, np.float64), np.asarray(truth, np.float64)
    known = np.isfinite(one) & np.isfinite(other)
    signs = [np.sign(values[known][:, None] - values[known][None, :]) for values in (one, other)]
    n = int(known.sum())
    scale = math.sqrt((signs[0] ** 2).sum() * (signs[1] ** 2).sum())
    if n < 3 or not scale:
        return None
    observed = (signs[0] * signs[1]).sum()
    by_chance = np.concatenate([(signs[0] * _reordered(signs[1], orders)).sum(axis=(1, 2)) for orders in _orders(n)])
    as_far = (np.abs(by_chance) >= abs(observed) - _ROUNDING).sum()
    p = as_far / len(by_chance) if n <= ENUMERATED else (as_far + 1) / (len(by_chance) + 1)
    return Agreement(float(observed / scale), float(p), n, 2 / math.factorial(n))


def _orders(n: int) -> list[NDArray[np.int64]]:
    """Blocks (≤ 5,000, n) of orders: all of them, or a sample that is the same every time."""
    if n <= ENUMERATED:
        orders = np.array(list(itertools.permutations(range(n))), np.int64)
    else:
        orders = np.random.default_rng(0).permuted(np.tile(np.arange(n), (DRAWS, 1)), axis=1)
    return np.array_split(orders, max(1, len(orders) // 5000))


def _reordered(signs: NDArray[np.float64], orders: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(signs[orders[:, :, None], orders[:, None, :]])
