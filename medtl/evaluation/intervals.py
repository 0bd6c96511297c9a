"""95 % intervals that know their unit: images of one patient are not independent cases.

Analytic ones: shares (Wilson with a design effect), F1, AUROC and AUPRC of few or extreme cases, and the mean of several
estimates. They stay honest where a bootstrap does not: resampling a table without an error never shows one, so it prints
[1, 1] for a perfect score on ten patients. Each takes and gives plain numbers in [0, 1].
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

Z = 1.959963984540054
"""97.5 % quantile of the normal distribution: two-sided 95 %."""
FEW = 10
"""So many groups must hold an error, and so many a hit, before the dependence within groups can be estimated from them."""


class Interval(NamedTuple):
    low: float
    high: float

    def around(self, other: Interval) -> Interval:
        """The smallest interval that holds both."""
        return Interval(min(self.low, other.low), max(self.high, other.high))


def wilson(share: float, n: float) -> Interval:
    """Wilson's score interval (JASA 1927) for a share of `n` independent cases (n may be an effective, fractional number)."""
    centre = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return Interval(0.0 if share == 0 else low, 1.0 if share == 1 else high)


def effective_cases(hits: ArrayLike, groups: ArrayLike) -> float:
    """How many independent cases the (N,) `hits` (bool) of `groups` (N,) weigh: N over the design effect.

    The design effect compares the variance between groups with that of independent cases (linearised ratio estimator:
    Cochran, Sampling Techniques, 1977; Rao & Scott, Biometrics 1992). Where fewer than :data:`FEW` groups hold an error,
    or a hit, that variance is guesswork: then all images of a group count as one case (:func:`independent_at_least`) unless
    the data show even fewer. Rows repeated within groups change nothing.
    """
    hit, group = np.asarray(hits, dtype=np.float64), np.asarray(groups)
    members = np.unique(group, return_inverse=True)[1]
    sizes = np.bincount(members)
    residuals = np.bincount(members, weights=hit - hit.mean())
    hits_in = np.bincount(members, weights=hit)
    independent_variance = len(hit) * hit.mean() * (1 - hit.mean())
    design = float(np.sum(residuals**2)) / independent_variance if independent_variance > 0 else 0.0
    estimated = len(hit) / design if design > 0 else independent_at_least(members)
    few = min(np.count_nonzero(hits_in), np.count_nonzero(sizes - hits_in)) < FEW
    return min(estimated, independent_at_least(members)) if few else estimated


def independent_at_least(groups: ArrayLike) -> float:
    """How many independent cases the (N,) `groups` hold if every image of one says the same: Kish's N² / Σ size²."""
    sizes = np.unique(np.asarray(groups), return_counts=True)[1].astype(np.float64)
    return float(sizes.sum() ** 2 / np.sum(sizes**2))


def auroc_interval(auroc: float, positives: float, negatives: float) -> Interval:
    """For an AUROC of so many independent positives and negatives, also where it is 1 or cases are few.

    Solves (AUROC - θ)² = z² V(θ) for θ, V being Hanley & McNeil's variance (Radiology 1982) with both sample sizes in its
    correction replaced by their mean: Newcombe's method 5 (Statistics in Medicine 2006; 25: 559-573).
    """
    spare = (positives + negatives) / 2 - 1

    def variance(theta: float) -> float:
        return theta * (1 - theta) * (1 + spare * ((1 - theta) / (2 - theta) + theta / (1 + theta))) / (positives * negatives)

    return _score_interval(auroc, variance)


def _score_interval(value: float, variance: Callable[[float], float]) -> Interval:
    """The θ on either side of `value` that it is just compatible with: (value - θ)² = z² variance(θ)."""

    def gap(theta: float) -> float:
        return (value - theta) ** 2 - Z**2 * variance(theta)

    inside = min(max(value, 1e-12), 1 - 1e-12)
    low = float(brentq(gap, 0.0, inside)) if value > 0 and gap(inside) < 0 < gap(0.0) else 0.0
    high = float(brentq(gap, inside, 1.0)) if value < 1 and gap(inside) < 0 < gap(1.0) else 1.0
    return Interval(min(low, value), max(high, value))


def f1_of(jaccard: float) -> float:
    """F1 = 2 TP / (2 TP + FP + FN) out of J = TP / (TP + FP + FN): rising with it, 2 J / (1 + J)."""
    return 2 * jaccard / (1 + jaccard)


def of_mean(
    values: Sequence[float],
    intervals: Sequence[Interval],
    lowest: float = 0.0,
    highest: float = 1.0,
    weights: Sequence[float] | None = None,
) -> Interval:
    """For the mean (plain, or by `weights`) of several estimates out of each one's interval: MOVER, taken as uncorrelated (Zou & Donner,
    Statistics in Medicine 2008; 27: 1693-1702). Keeps the intervals' asymmetry, and to the figure's range; for one estimate it is its
    interval."""
    value, ends, share = np.array(values), np.array(intervals), np.ones(len(values)) if weights is None else np.array(weights, dtype=float)
    share = share / share.sum()
    mean = float(share @ value)
    down, up = (math.sqrt(float(np.sum((share * (value - ends[:, side])) ** 2))) for side in (0, 1))
    return Interval(max(lowest, mean - down), min(highest, mean + up))


def percentiles(resampled: NDArray[np.float64], groups: int) -> Interval:
    """Percentile interval of bootstrap values (R,), NaN left out, expanded for few groups.

    The bootstrap's spread is too small by √((n-1)/n), and it knows no t distribution; taking percentiles further out by as
    much mends both to first order (Hesterberg, The American Statistician 2015, section 5.3: the expanded percentile interval).
    """
    tail = tail_of(groups)
    low, high = np.nanquantile(resampled, [tail, 1 - tail])
    return Interval(float(low), float(high))


def tail_of(groups: int) -> float:
    """How much of the bootstrap's values an expanded percentile interval leaves out at either end; see :func:`percentiles`."""
    from scipy.stats import norm, t

    return float(norm.cdf(-math.sqrt(groups / (groups - 1)) * t.ppf(0.975, groups - 1)))


def studentized(value: float, error: float, resampled_t: NDArray[np.float64]) -> Interval:
    """Bootstrap-t interval of a mean with standard `error`, from the resampled (mean* - value) / error* (R,), NaN left out.

    Follows the skewness of its terms, which percentile intervals miss (Hesterberg 2015, section 5.4): few bad surprises among many
    good probabilities are what a Brier score is made of. Not clipped, possibly infinite: many resamples without any spread.
    """
    low, high = np.nanquantile(resampled_t, [0.025, 0.975], method="inverted_cdf")
    return Interval(value - float(high) * error, value - float(low) * error)


def ece_interval(ece: float, resampled: NDArray[np.float64], noise: NDArray[np.float64], groups: int) -> Interval:
    """For an expected calibration error, whose bias upwards the bootstrap doubles: absolute values turn noise into error.

    The percentile interval and its mirror image 2 ECE - q (which undoes the doubling), whichever reaches further; down to 0
    where sampling error alone (`noise`, the bootstrap of a perfectly calibrated table with the same scatter) gives as much.
    """
    both = both_ways(ece, percentiles(resampled, groups))
    return Interval(0.0 if ece <= percentiles(noise, groups).high else max(0.0, both.low), min(1.0, both.high))


def both_ways(value: float, straight: Interval) -> Interval:
    """A percentile interval and its mirror image 2 `value` - q, whichever reaches further: a biased figure is biased twice in resamples."""
    return straight.around(Interval(2 * value - straight.high, 2 * value - straight.low))
