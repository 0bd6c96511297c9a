"""Operating points, from validation: the threshold of a binary task, or what several classes' probabilities are weighed against; and the
rule that turns probabilities into classes."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from medtl.decisions.rules import Counts
from medtl.errors import MedtlError
from medtl.registry import Settings, component

RULES = "decisions.rules"
DEFAULT = 0.5
UNREAD = -1
"""What :func:`decide` gives for an image without probabilities."""


class Cut(NamedTuple):
    """A threshold: positive where p >= `value`."""

    value: float
    reached: bool = True
    """Whether the cases reach what the rule asks for."""


def fit(p_positive: ArrayLike, is_positive: ArrayLike, rule: Settings | str = "youden") -> Cut:
    """The threshold that is best on these cases by `rule`, a component of `medtl.decisions.rules`.

    Candidates lie midway between neighbouring distinct scores (with 0 and 1 as the outermost neighbours). Ties go to the
    threshold nearest 0.5, then to the lower one (the more sensitive). `p_positive` (N,) in [0, 1], NaN rows (unread) are
    left out; `is_positive` (N,) bool. Where :func:`unfittable` gives a reason, 0.5.
    """
    chosen, file = _chosen(rule)
    score, positive = _read_only(p_positive, is_positive)
    if unfittable(score, positive):
        return Cut(DEFAULT)
    distinct, block = np.unique(score, return_inverse=True)
    positives = np.bincount(block, weights=positive, minlength=len(distinct))
    negatives = np.bincount(block, minlength=len(distinct)) - positives
    # Candidate i calls positive everything from distinct score i upwards; the last one calls nothing positive.
    true_positives = np.append(np.cumsum(positives[::-1])[::-1], 0.0)
    false_positives = np.append(np.cumsum(negatives[::-1])[::-1], 0.0)
    counts = Counts(true_positives, false_positives, float(positives.sum()), float(negatives.sum()))
    possible = np.append(np.ones(len(distinct), dtype=bool), distinct[-1] < 1)  # no threshold leaves out a probability of 1
    gain = np.where(possible, file.gain(chosen, counts), -np.inf)
    reached = bool(np.isfinite(gain).any())
    if not reached:
        gain = np.where(possible, file.nearest(chosen, counts), -np.inf)
    below, above = np.append(0.0, distinct), np.append(distinct, 1.0)
    middle = (below + above) / 2
    candidates = np.where(middle > below, middle, above)  # between two neighbouring floats there is no middle
    best = candidates[gain >= gain.max() - 1e-12]
    return Cut(float(min(best, key=lambda threshold: (abs(threshold - DEFAULT), threshold))), reached)


def said(rule: Settings | str, reached: bool = True) -> str:
    """A rule in the field's words."""
    chosen, file = _chosen(rule)
    text = str(file.said(chosen))
    return text if reached else f"{text}, out of reach on these images: the nearest is taken"


def _chosen(rule: Settings | str) -> tuple[Settings, ModuleType]:
    """The rule's settings and its file; a name alone stands for its defaults."""
    name = rule if isinstance(rule, str) else str(rule.name)  # type: ignore[attr-defined]
    file = component(RULES, name)
    return (file.Settings() if isinstance(rule, str) else rule), file


def unfittable(p_positive: ArrayLike, is_positive: ArrayLike) -> str:
    """Why no threshold can be chosen on these cases (then :func:`fit` gives 0.5); empty where one can."""
    _, positive = _read_only(p_positive, is_positive)
    if not len(positive):
        return "no cases to choose a threshold on; 0.5 is used"
    if positive.all() or not positive.any():
        return f"all cases are {'positive' if positive.all() else 'negative'}, a threshold cannot be chosen on them; 0.5 is used"
    return ""


def adjustment(probabilities: ArrayLike, tau: float) -> tuple[float, ...] | None:
    """What :func:`decide` takes off each class's log p: tau · log π; None where tau is 0.

    (N, K) calibrated probabilities of validation; π_k is the mean of p_k over these images (NaN rows, unread, are left out): the class
    frequencies that the probabilities themselves assume, which with a calibrated intercept are not those of training.
    """
    if tau == 0:
        return None
    frequencies = np.nanmean(np.asarray(probabilities, dtype=np.float64), axis=0)
    return tuple((tau * np.log(np.maximum(frequencies, np.finfo(float).tiny))).tolist())


def strength(adjusted: Sequence[float] | None) -> float:
    """The tau of :func:`adjustment` that made these numbers; 0 of None.

    Frequencies add up to 1, and the sum of exp(adjusted / tau) rises with tau, so there is one. Of numbers that were moved afterwards (by
    `medtl recalibrate`) there may be none: MedtlError.

    >>> [round(strength(adjustment([[0.7, 0.2, 0.1]], tau)), 9) for tau in (0.5, 1e-4)]
    [0.5, 0.0001]
    """
    if adjusted is None:
        return 0.0
    given = np.asarray(adjusted, dtype=np.float64)

    def excess(tau: float) -> float:
        return float(np.exp(given / tau).sum()) - 1

    least, most = 1e-6, 100.0
    if not (given.max() <= 0 and excess(least) < 0 < excess(most)):
        raise MedtlError("the numbers that rare classes are weighed by are no frequencies to a power")
    return float(brentq(excess, least, most, xtol=1e-12))


def decide(
    probabilities: ArrayLike,
    positive_index: int | None = None,
    threshold: float | None = None,
    adjusted: Sequence[float] | None = None,
) -> NDArray[np.int64]:
    """(N, K) probabilities → (N,) class positions by the stored rule; :data:`UNREAD` (-1) for rows with NaN.

    With a threshold (binary tasks): the positive class where its p >= threshold, else the other one. Without: the class of the
    largest log p - `adjusted` (K numbers, :func:`adjustment`), or of the largest p; the first of equals.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim != 2:
        raise MedtlError(f"decide: probabilities of shape {p.shape}; expected (images, classes)")
    unread = np.isnan(p).any(axis=1)
    if threshold is not None and adjusted is not None:
        raise MedtlError("decide: a threshold and an adjustment were given; a task of two classes has the one, of more classes the other")
    if threshold is None:
        chosen = np.argmax(p if adjusted is None else p * np.exp(-np.asarray(adjusted)), axis=1)
    elif positive_index in (0, 1) and p.shape[1] == 2:
        chosen = np.where(p[:, positive_index] >= threshold, positive_index, 1 - positive_index)
    else:
        raise MedtlError(
            f"decide: a threshold needs two classes and the position of the positive one; given {p.shape[1]} classes, {positive_index}"
        )
    return np.where(unread, UNREAD, chosen).astype(np.int64)


def _read_only(p_positive: ArrayLike, is_positive: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The cases that have a probability."""
    score, positive = np.asarray(p_positive, dtype=np.float64), np.asarray(is_positive, dtype=bool)
    if score.ndim != 1 or score.shape != positive.shape:
        raise MedtlError(f"threshold: probabilities of shape {score.shape} and truth of shape {positive.shape}; expected (images,) twice")
    read = ~np.isnan(score)
    return score[read], positive[read]
