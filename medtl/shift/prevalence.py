"""How many are ill at the target, from the model's answers alone; and whether that may be asked.

Both estimates hold where only the shares of the classes differ, and the images of a class are the same (label shift):

- BBSE (Lipton, Wang & Smola, "Detecting and Correcting for Label Shift with Black Box Predictors", ICML 2018): the source's confusion
  matrix, inverted on the shares of the target's answers. Needs no calibrated probabilities.
- EM (Saerens, Latinne & Decaestecker, "Adjusting the Outputs of a Classifier to New a Priori Probabilities", Neural Computation 2002): the
  shares that make the target's probabilities likeliest. Needs calibrated ones; surer where it has them.

Whether it may be asked, :mod:`medtl.shift.label_shift` tests. EM is also tried on the source itself, whose shares are known: probabilities
that are too cautious (calibrated on few images) lead it far astray, and no bootstrap shows that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BOOTSTRAPS = 500
SINGULAR = 0.05
"""Least singular value of the answers given each class: below it the answers tell the classes too little to be inverted."""
MISSES = 0.02
"""By so much EM has to miss the source's own shares, and by more than chance, before it is not asked at the target."""
_STEPS, _CLOSE = 500, 1e-7


def bbse(truth: ArrayLike, predicted: ArrayLike, target_predicted: ArrayLike, classes: int,
         weights: ArrayLike | None = None, target_weights: ArrayLike | None = None) -> Floats | None:  # fmt: skip
    """(K,) shares of the classes at the target; None where a class is missing or the answers cannot be inverted.

    Arguments:
        truth, predicted: (N,) positions of classes on labelled images of the source that the model did not learn from.
        target_predicted: (M,) positions of the answers at the target.
        weights, target_weights: (N,), (M,) default 1.
    """
    rows, columns = np.asarray(predicted, np.int64), np.asarray(truth, np.int64)
    ours = np.ones(len(rows)) if weights is None else np.asarray(weights, np.float64)
    theirs = None if target_weights is None else np.asarray(target_weights, np.float64)
    counts = np.bincount(rows * classes + columns, ours, classes**2).reshape(classes, classes)
    of_class = counts.sum(axis=0)
    if (of_class == 0).any():
        return None
    given = counts / of_class
    if np.linalg.svd(given, compute_uv=False)[-1] < SINGULAR:
        return None
    answered = np.bincount(np.asarray(target_predicted, np.int64), theirs, classes)
    found = np.maximum(np.linalg.solve(given, answered / answered.sum()), 0)
    return np.asarray(found / found.sum())


def em(source_shares: ArrayLike, target_probabilities: ArrayLike, weights: ArrayLike | None = None) -> Floats:
    """(K,) shares of the classes at the target, from those at which the probabilities hold (K,) and the target's probabilities (M, K)."""
    prior, given = np.asarray(source_shares, np.float64), np.asarray(target_probabilities, np.float64)
    own = np.full(len(given), 1 / len(given)) if weights is None else np.asarray(weights, np.float64) / np.sum(np.asarray(weights))
    likelihoods, shares = given / prior, prior.copy()
    for _ in range(_STEPS):
        joint = likelihoods * shares
        moved = own @ (joint / np.maximum(joint.sum(axis=1, keepdims=True), 1e-300))
        if np.abs(moved - shares).max() < _CLOSE:
            return np.asarray(moved)
        shares = moved
    return np.asarray(shares)


@dataclass(frozen=True)
class Shares:
    """One method's estimate for each class, with its 95 % interval by a bootstrap of patients of both sides."""

    method: str
    value: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class Labelled:
    """(N,) patients, truth and answers (positions of classes), and (N, K) calibrated probabilities; truth is the source's alone."""

    groups: Ints
    predicted: Ints
    probabilities: Floats
    truth: Ints

    @property
    def classes(self) -> int:
        return int(self.probabilities.shape[1])


def estimated(source: Labelled, target: Labelled, seed: int = 0) -> list[Shares]:
    """BBSE, and EM where it finds the source's own shares, with intervals; empty where the answers tell too little."""
    rng = np.random.default_rng(seed)
    whole = _both(source, target, np.ones(len(source.groups)), np.ones(len(target.groups)))
    if whole is None:
        return []
    drawn = [_both(source, target, _resampled(source.groups, rng), _resampled(target.groups, rng)) for _ in range(BOOTSTRAPS)]
    known = np.array([each for each in drawn if each is not None])
    low, high = np.quantile(known, [0.025, 0.975], axis=0)
    methods = ("BBSE",) if _misses_its_source(source, seed) else ("BBSE", "EM")
    return [Shares(method, whole[k], low[k], high[k]) for k, method in enumerate(methods)]


def _misses_its_source(source: Labelled, seed: int) -> bool:
    """Whether EM, asked of the source's own answers, does not find the source's shares, by :data:`MISSES` and by more than chance."""
    rng = np.random.default_rng(seed)
    counts = np.bincount(source.truth, minlength=source.classes)
    shares = counts / counts.sum()

    def missed(weights: Floats) -> Floats:
        """With the classes' shares as they are: what chance moves are the answers given each class."""
        drawn = np.bincount(source.truth, weights, source.classes)
        return np.asarray(em(shares, source.probabilities, weights * (counts / np.maximum(drawn, 1e-9))[source.truth]) - shares)

    low, high = np.quantile([missed(_resampled(source.groups, rng)) for _ in range(BOOTSTRAPS)], [0.025, 0.975], axis=0)
    far = np.abs(missed(np.ones(len(source.groups)))) > MISSES
    return bool((far & ((low > 0) | (high < 0))).any())


def _both(source: Labelled, target: Labelled, ours: Floats, theirs: Floats) -> Floats | None:
    """(2, K) BBSE and EM with weights of rows."""
    classes = source.classes
    first = bbse(source.truth, source.predicted, target.predicted, classes, ours, theirs)
    if first is None:
        return None
    shares = np.bincount(source.truth, ours, classes) / ours.sum()
    return np.stack([first, em(shares, target.probabilities, theirs)])


def _resampled(groups: Ints, rng: np.random.Generator) -> Floats:
    """(N,) how often each row is drawn when its patients are, with replacement."""
    _, place = np.unique(groups, return_inverse=True)
    count = int(place.max()) + 1
    return np.bincount(rng.integers(0, count, count), minlength=count)[place].astype(np.float64)
