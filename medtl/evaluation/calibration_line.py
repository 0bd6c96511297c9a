"""Calibration intercept and slope: do the log-odds mean what they say? (Cox 1958; Van Calster et al., BMC Medicine 2019.)

A logistic regression of the truth on logit p. *Slope*: 1 is right, below 1 the probabilities are too extreme, above too timid. *Intercept*
("in the large", slope fixed at 1): 0 is right, above 0 the probabilities are too low on the whole. Intervals are cluster-robust (Liang &
Zeger, Biometrika 1986), with the t distribution of so many groups, less one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import t

from medtl.evaluation.intervals import Interval
from medtl.evaluation.probability import log_odds

Floats = NDArray[np.float64]
_STEPS = 200
_FARTHEST = 4.0
"""Log-odds that one step may move an image by: where all are sure, the curvature is next to nothing and Newton's own step leads nowhere."""


@dataclass(frozen=True)
class Line:
    """Each with its 95 % interval; None where there is none."""

    intercept: tuple[float, Interval]
    slope: tuple[float, Interval] | None
    no_slope: str = ""
    """Why not: what the probabilities do."""


def calibration_line(event: NDArray[np.bool_], p: Floats, groups: NDArray[np.int64]) -> Line:
    """(N,) whether it was so, (N,) its probability, (N,) groups, of which there must be two; some events, and some not."""
    x, y = log_odds(p), event.astype(np.float64)
    ones = np.ones((len(x), 1))
    at, error = logistic(ones, y, x, groups)
    half = float(t.ppf(0.975, len(np.unique(groups)) - 1))
    intercept = (float(at[0]), Interval(float(at[0] - half * error[0]), float(at[0] + half * error[0])))
    if np.ptp(x) < 1e-9:
        return Line(intercept, None, "all are equal")
    if separated(event, x):
        return Line(intercept, None, "they separate the classes")
    at, error = logistic(np.column_stack([ones, x]), y, np.zeros(len(x)), groups)
    return Line(intercept, (float(at[1]), Interval(float(at[1] - half * error[1]), float(at[1] + half * error[1]))))


def separated(event: NDArray[np.bool_], x: Floats) -> bool:
    """Whether one value of `x` (N,) divides the events from the others: then no slope is the likeliest. Both must be there."""
    return bool(x[event].min() >= x[~event].max() or x[event].max() <= x[~event].min())


def logistic(design: Floats, y: Floats, offset: Floats, groups: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Logistic regression of y (N,) on the columns of `design` (N, Q), `offset` (N,) added.

    (Q,) maximum likelihood and (Q,) standard errors between `groups` (N,), by Newton's steps, none too far and halved where they overshoot.
    """
    scale = np.sqrt((design**2).mean(axis=0))
    columns = design / scale
    beta, best = np.zeros(columns.shape[1]), -np.inf
    step = beta
    for _ in range(_STEPS):
        linear = columns @ (beta + step) + offset
        likelihood = float(np.sum(y * linear - np.logaddexp(0, linear)))
        if likelihood < best - 1e-9 * abs(best):
            step = step / 2
            continue
        beta, best = beta + step, likelihood
        fitted = expit(linear)
        curvature = (columns * (fitted * (1 - fitted))[:, None]).T @ columns + 1e-12 * np.eye(len(beta))
        step = np.linalg.solve(curvature, columns.T @ (y - fitted))
        step = step / max(1.0, np.abs(columns @ step).max() / _FARTHEST)
        if np.abs(step).max() < 1e-7:  # the next one would be of its square
            beta = beta + step
            break
    members = np.unique(groups, return_inverse=True)[1]
    scores = np.zeros((members.max() + 1, len(beta)))
    np.add.at(scores, members, columns * (y - expit(columns @ beta + offset))[:, None])
    bread, number, n = np.linalg.inv(curvature), len(scores), len(y)
    correction = number / (number - 1) * (n - 1) / max(1, n - len(beta))
    variance = correction * np.diag(bread @ (scores.T @ scores) @ bread)
    return beta / scale, np.sqrt(variance) / scale
