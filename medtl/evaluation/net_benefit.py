"""Is it worth acting on? Net benefit over thresholds (decision curve analysis: Vickers & Elkin, Medical Decision Making 2006).

Whoever treats from a probability of t on holds one found case worth (1 - t) / t false alarms. Net benefit is the found cases an image, less
the false alarms at that rate: 0 for treating nobody, at most the prevalence.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
THRESHOLDS = np.round(np.arange(0.01, 1.0, 0.01), 2)


def net_benefit(p: ArrayLike, positive: ArrayLike, thresholds: ArrayLike = THRESHOLDS) -> Floats:
    """(T,) net benefit an image of treating where p >= t, of (N,) probabilities and (N,) whether positive; `thresholds` in (0, 1).

    An unread image (NaN) is not treated. At least one image.
    """
    score, ill = np.asarray(p, dtype=np.float64), np.asarray(positive, dtype=bool)
    cuts = np.asarray(thresholds, dtype=np.float64)
    found, alarms = (_at_least(score[side], cuts) for side in (ill, ~ill))
    return np.asarray((found - alarms * cuts / (1 - cuts)) / len(score))


def treat_all(positive: ArrayLike, thresholds: ArrayLike = THRESHOLDS) -> Floats:
    """(T,) the same of treating everybody; 0 where t is the prevalence."""
    return net_benefit(np.ones(np.size(positive)), positive, thresholds)


def _at_least(scores: Floats, cuts: Floats) -> Floats:
    """(T,) how many scores reach each cut."""
    rising = np.sort(scores[np.isfinite(scores)])
    return np.asarray(len(rising) - np.searchsorted(rising, cuts, side="left"), dtype=np.float64)
