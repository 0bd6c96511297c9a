"""Which images are compared with which: target with source, and halves of the source with each other.

A difference between two hospitals means something only beside the difference between two random halves of one. Patients are drawn, and of
each patient one image per draw, so that hospitals with many and with few images a patient can be compared.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Ints = NDArray[np.int64]

DRAWS = 200
"""Halves of the source: the smallest p-value is 1 / 201."""
OBSERVED = 40
"""Draws of target against source; their median is what is observed."""
FEW = 20
"""Patients that either side needs."""
MOST = 1000
"""Patients of the source that are drawn from: more would cost time and tell no more."""


@dataclass(frozen=True)
class Draws:
    """D comparisons of a near with a far sample, as positions in the pooled rows: the source's first, then the target's."""

    near: Ints
    """(D, a), always of the source."""
    far: Ints
    """(D, b), of the source's other patients (null) or of the target (observed)."""

    def __len__(self) -> int:
        return len(self.near)


def patients(groups: ArrayLike, offset: int = 0) -> list[Ints]:
    """The positions of each group's rows, plus `offset`, groups in order of their numbers."""
    given = np.asarray(groups)
    order = np.argsort(given, kind="stable")
    starts = np.flatnonzero(np.r_[True, given[order][1:] != given[order][:-1]]) if len(given) else np.empty(0, np.int64)
    return [rows.astype(np.int64) + offset for rows in np.split(order, starts[1:])] if len(given) else []


def one_of_each(rows: list[Ints], rng: np.random.Generator) -> Ints:
    """(G,) one row of each patient, patients shuffled."""
    counts = np.array([len(own) for own in rows])
    chosen = (rng.random(len(rows)) * counts).astype(np.int64)
    picked = np.array([own[place] for own, place in zip(rows, chosen, strict=True)], np.int64)
    return rng.permutation(picked)


def null_and_observed(source_groups: ArrayLike, target_groups: ArrayLike, draws: int = DRAWS, seed: int = 0) -> tuple[Draws, Draws] | None:
    """Comparisons of equal sizes: halves of the source with each other (`draws` of them), and target with source.

    Arguments:
        source_groups, target_groups: (N,), (M,) patients of the rows.
    Returns:
        None where either side has fewer than :data:`FEW` patients, or the source too few to be halved.
    """
    rng = np.random.default_rng(seed)
    source = patients(source_groups)
    target = patients(target_groups, len(np.asarray(source_groups)))
    if len(source) > MOST:
        source = [source[place] for place in rng.permutation(len(source))[:MOST]]
    far = min(len(target), len(source) // 2)
    if far < FEW:
        return None
    near = min(len(source) - far, 2 * far)
    halves = [one_of_each(source, rng) for _ in range(draws)]
    ours = [one_of_each(source, rng)[:near] for _ in range(OBSERVED)]
    theirs = [one_of_each(target, rng)[:far] for _ in range(OBSERVED)]
    null = Draws(np.stack([half[:near] for half in halves]), np.stack([half[near : near + far] for half in halves]))
    return null, Draws(np.stack(ours), np.stack(theirs))


def p_value(null: ArrayLike, observed: float) -> float:
    """Share of the null that is at least as large, the observed one counted among it: never 0.

    >>> p_value([1.0, 2.0, 3.0], 2.5)
    0.5
    """
    values = np.asarray(null, np.float64)
    return float((1 + (values >= observed).sum()) / (1 + len(values)))
