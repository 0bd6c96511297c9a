"""How much sooner, or with how much less energy, an arm reaches the reference's best validation score, with equal labels."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import stats

from medtl.study.reading import Claim

Cost = Literal["seconds", "kwh"]
WHAT = {"seconds": "time", "kwh": "energy"}


def saved(arm: str, reference: str, fraction: float, trials: pd.DataFrame, curves: pd.DataFrame, cost: Cost) -> tuple[Claim, float]:
    """The claim, and the seconds or kilowatt hours that one training saves in the mean; both count until the score is reached.

    trials: those that are done; curves: as of `study.readings`. Shown if every training gets there and the interval of the mean ratio
    (Student's, of logarithms, between seeds) lies above 1.
    """
    what = f"{WHAT[cost]} saved by {arm}"
    ratios, gaps = [], []
    for _, own in trials[trials["fraction"] == fraction].groupby("seed"):
        trial_of = dict(zip(own["arm"], own["trial"], strict=True))
        if arm not in trial_of or reference not in trial_of:
            return Claim(what, False, "trials are missing"), 0.0
        found = _spent(curves, trial_of[arm], trial_of[reference], cost)
        if found is None:
            return Claim(what, False, f"not every training reaches {reference}'s best validation score"), 0.0
        if not (found > 0).all():
            return Claim(what, False, f"not every training has its {WHAT[cost]} counted"), 0.0
        ratios.append(float(np.mean(np.log(found[:, 1] / found[:, 0]))))
        gaps.append(float((found[:, 1] - found[:, 0]).sum()))
    if len(ratios) < 2:
        return Claim(what, False, "one seed tells nothing about the spread"), 0.0
    mean, error = float(np.mean(ratios)), stats.sem(ratios)
    half = float(stats.t.ppf(0.975, len(ratios) - 1)) * float(error)
    value, low, high = (float(np.exp(x)) for x in (mean, mean - half, mean + half))
    how = f"{value:.1f} times as soon" if cost == "seconds" else f"with {value:.1f} times less energy"
    text = f"{reference}'s best validation score {how} ({low:.1f} to {high:.1f}, {len(ratios)} seeds)"
    figures = {"value": value, "low": low, "high": high}
    return Claim(what, low > 1, text if low > 1 else f"{text}: the interval does not lie above 1", figures), float(np.mean(gaps))


def _spent(curves: pd.DataFrame, trial: str, reference: str, cost: Cost) -> np.ndarray[Any, Any] | None:
    """(folds, 2) spent until the reference's best score, by the arm and by the reference; None where the arm never gets there."""
    rows = []
    for fold, wanted in curves[curves["trial"] == reference].groupby("fold"):
        best = wanted.loc[wanted["score"].idxmax()]
        own = curves[(curves["trial"] == trial) & (curves["fold"] == fold) & (curves["score"] >= best["score"])]
        if own.empty:
            return None
        rows.append((own[cost].min(), best[cost]))
    return np.array(rows) if rows else None
