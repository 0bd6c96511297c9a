"""How far apart two sets of feature vectors are: what a probe tells, and the maximum mean discrepancy.

- Proxy A-distance (Ben-David, Blitzer, Crammer & Pereira, "Analysis of Representations for Domain Adaptation", NeurIPS 2006): 2 (1 - 2 e)
  of the error e of a classifier that tells the domains apart; 0: it cannot, 2: it never errs.
- MMD (Gretton et al., "A Kernel Two-Sample Test", JMLR 2012): distance of the means in the space of a kernel; here Gaussian, as wide as
  the median distance. It sees what no linear probe does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist

from medtl.decisions.outlyingness import auroc

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FOLDS = 5
RIDGE = 0.05
"""Pull of the probe's weights towards zero, in units of the features' variance."""
_MEDIAN_OF = 500


@dataclass(frozen=True)
class Probe:
    """What a linear classifier, learned on other patients, tells of the domain."""

    auroc: float
    error: float
    """Mean of the two domains' shares that are taken for the other."""

    @property
    def a_distance(self) -> float:
        """2 (1 - 2 error), in [0, 2]; below 0 is chance, and 0."""
        return max(0.0, 2 * (1 - 2 * self.error))


def domain_probe(source: ArrayLike, target: ArrayLike, source_groups: ArrayLike, target_groups: ArrayLike, seed: int = 0) -> Probe:
    """Cross-validated over patients: (N, d) and (M, d) finite features, (N,) and (M,) groups, at least :data:`FOLDS` on either side."""
    ours, theirs = np.asarray(source, np.float64), np.asarray(target, np.float64)
    rng = np.random.default_rng(seed)
    folds = np.concatenate([_folds(np.asarray(groups), rng) for groups in (source_groups, target_groups)])
    return probed(np.vstack([ours, theirs]), np.arange(len(ours) + len(theirs)) >= len(ours), folds)


def probed(rows: Floats, far: NDArray[np.bool_], folds: Ints) -> Probe:
    """As :func:`domain_probe`, of pooled rows (n, d), which of them are the target's, and their folds."""
    aurocs, errors = [], []
    for fold in range(FOLDS):
        seen, held = folds != fold, folds == fold
        scores = rows[held] @ (axis := direction(rows[seen], far[seen]))[1:] + axis[0]
        own = far[held]
        aurocs.append(auroc(scores[~own], scores[own]))
        errors.append((np.mean(scores[own] <= 0) + np.mean(scores[~own] > 0)) / 2)
    return Probe(float(np.mean(aurocs)), float(np.mean(errors)))


def direction(rows: Floats, far: NDArray[np.bool_]) -> Floats:
    """(d + 1,) intercept and weights of the ridge regression of the domain (-1 source, 1 target), both domains weighing the same."""
    weights = np.where(far, 0.5 / far.sum(), 0.5 / (~far).sum())
    centre = weights @ rows
    centred = rows - centre
    spread = centred.T @ (centred * weights[:, None])
    pull = RIDGE * max(float(np.trace(spread)) / len(spread), 1e-12)
    wanted = np.where(far, 1.0, -1.0)
    found = np.linalg.solve(spread + pull * np.eye(len(spread)), centred.T @ (weights * wanted))
    return np.concatenate([[-centre @ found], found])


def median_distance(rows: ArrayLike) -> float:
    """Of pairs of rows (n, d), evenly taken; 1 where all rows are equal. The usual width of a Gaussian kernel."""
    given = np.asarray(rows, np.float64)
    some = given[np.unique(np.linspace(0, len(given) - 1, min(_MEDIAN_OF, len(given))).astype(int))]
    found = float(np.median(cdist(some, some)[np.triu_indices(len(some), 1)])) if len(some) > 1 else 0.0
    return found or 1.0


def gaussian(rows: ArrayLike, width: float) -> Floats:
    """(n, n) exp(-|x - y|² / (2 width²)) of rows (n, d)."""
    given = np.asarray(rows, np.float64)
    return np.asarray(np.exp(cdist(given, given, "sqeuclidean") / (-2 * width**2)))


def mmd_squared(source: ArrayLike, target: ArrayLike, width: float | None = None) -> float:
    """The unbiased estimate of the squared MMD of (N, d) and (M, d) features; around 0 (and below) where they are alike.

    width: of the kernel; default: the median distance of all rows.
    """
    both = np.vstack([np.asarray(source, np.float64), np.asarray(target, np.float64)])
    kernel = gaussian(both, width if width is not None else median_distance(both))
    near, far = np.arange(len(both))[None, : len(np.asarray(source))], np.arange(len(both))[None, len(np.asarray(source)) :]
    return float(mmds(kernel, near, far)[0])


def apart(source: ArrayLike, target: ArrayLike) -> float:
    """The squared MMD with the source's own median distance as width, so that distances of several targets from one source compare."""
    return mmd_squared(source, target, median_distance(source))


def mmds(kernel: Floats, near: Ints, far: Ints, near_weights: Floats | None = None) -> Floats:
    """(D,) squared MMDs of the rows `near` (D, a), weighing `near_weights` (D, a), with the rows `far` (D, b) of a kernel (n, n)."""
    draws, count = len(near), len(kernel)
    ours, theirs = np.zeros((draws, count)), np.zeros((draws, count))
    weights = np.ones(near.shape) if near_weights is None else near_weights
    np.put_along_axis(ours, near, weights / weights.sum(axis=1, keepdims=True), axis=1)
    np.put_along_axis(theirs, far, 1 / far.shape[1], axis=1)
    by_ours, by_theirs = ours @ kernel, theirs @ kernel
    own = np.diag(kernel)

    def within(weights: Floats, reached: Floats) -> Floats:
        """Mean over pairs of two different rows."""
        squares = weights**2
        return np.asarray(((reached * weights).sum(axis=1) - squares @ own) / (1 - squares.sum(axis=1)))

    return np.asarray(within(ours, by_ours) + within(theirs, by_theirs) - 2 * (by_ours * theirs).sum(axis=1))


def _folds(groups: NDArray[np.generic], rng: np.random.Generator) -> Ints:
    """(N,) 0 … FOLDS-1, whole groups."""
    _, place = np.unique(groups, return_inverse=True)
    count = int(place.max()) + 1
    return np.asarray(rng.permutation(count) % FOLDS, np.int64)[place]
