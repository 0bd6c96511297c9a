"""What changes where a disease is rarer or commoner: probability, PPV and NPV. Sensitivity and specificity are taken to stay what they are.

That holds where only the share of the ill differs (Saerens, Latinne & Decaestecker, Neural Computation 2002; 14: 21-41; Elkan, IJCAI
2001). Where the ill there are less ill, or images are made otherwise, nothing here helps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medtl.evaluation.figures import Estimate, estimate, without
from medtl.evaluation.intervals import Interval

Figure = Mapping[str, Any]
USUAL = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
"""Prevalences to look at: from screening to the clinic of a specialist."""


def shifted(probability: ArrayLike, calibrated_at: float, wanted: float) -> NDArray[np.float64]:
    """(…) what a probability that holds at one prevalence is at another: its odds times the ratio of the prevalences' odds.

    Both prevalences in (0, 1); 0 and 1 stay what they are, NaN stays NaN.
    """
    p = np.asarray(probability, dtype=np.float64)
    ratio = wanted / (1 - wanted) * (1 - calibrated_at) / calibrated_at
    moved: NDArray[np.float64] = p * ratio / (p * ratio + (1 - p))
    return moved


def predictive_values(sensitivity: Figure, specificity: Figure, prevalence: float) -> tuple[Estimate, Estimate]:
    """(PPV, NPV) at a `prevalence` in (0, 1), out of two figures of metrics.json with their 95 % intervals.

    log odds of PPV = log sensitivity - log (1 - specificity) + log odds of the prevalence, and NPV likewise with both changed over. The
    interval of the difference is that of MOVER out of both intervals on the log scale (Zou & Donner, Statistics in Medicine 2008; 27:
    1693-1702). Where no false alarm (no miss) was seen, the worse end takes both worse ends at once, which is too wide rather than too
    narrow. The prevalence is taken for known.
    """
    return _value(sensitivity, specificity, prevalence), _value(specificity, sensitivity, 1 - prevalence)


def _value(right: Figure, other: Figure, share: float) -> Estimate:
    """The share of the right among those called, of which `right` are called where they should be and 1 - `other` where not."""
    if right.get("value") is None or other.get("value") is None:
        return without(str(right.get("reason") or other.get("reason") or "not measured"))
    hit, alarm = float(right["value"]), 1 - float(other["value"])
    if hit == alarm == 0:
        return without("never called")
    value = _share(hit, alarm, share)
    if any(each.get(end) is None for each in (right, other) for end in ("low", "high")):
        return estimate(value, None, str(right.get("reason") or other.get("reason") or "no interval"))
    hits, alarms = Interval(right["low"], right["high"]), Interval(1 - other["high"], 1 - other["low"])
    if hit == 0 or alarm == 0:
        low = 0.0 if hit == 0 else _share(hits.low, alarms.high, share)
        high = 1.0 if alarm == 0 else _share(hits.high, alarms.low, share)
        return estimate(value, Interval(low, high))
    down = math.hypot(_log(hit) - _log(hits.low), _log(alarms.high) - _log(alarm))
    up = math.hypot(_log(hits.high) - _log(hit), _log(alarm) - _log(alarms.low))
    odds = _log(hit) - _log(alarm) + math.log(share / (1 - share))
    return estimate(value, Interval(_expit(odds - down), _expit(odds + up)))


def _share(hit: float, alarm: float, share: float) -> float:
    called = hit * share + alarm * (1 - share)
    return hit * share / called if called else 0.0


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf


def _expit(odds: float) -> float:
    return 1 / (1 + math.exp(-odds)) if odds > -700 else 0.0


def both(entry: Figure, names: Sequence[str], positive: int | None, finding: str | None = None) -> tuple[Figure, Figure]:
    """Sensitivity and specificity in an entry of metrics.json: of the `positive` one of two classes, or of a `finding`."""
    each = entry["per_class"]
    if finding is not None:
        return each[finding]["recall"], each[finding]["specificity"]
    yes = positive or 0
    return each[names[yes]]["recall"], each[names[1 - yes]]["recall"]
