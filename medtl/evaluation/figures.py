"""The figures of a split with their intervals, as metrics.json stores them: what `summary` and `summary_of_findings` are made of."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from medtl.evaluation import confusion, intervals, probability, ranking
from medtl.evaluation.cases import Cases
from medtl.evaluation.intervals import Interval
from medtl.evaluation.resampling import Resampled
from medtl.evaluation.sums import own_error

Estimate = dict[str, Any]
"""`{"value", "low", "high"}` (95 %); without an interval low and high are None and `reason` says why; without a value only
`{"value": None, "reason"}`."""

NO_CASES = "no cases"
ONE_GROUP = "one group only"
FEW_RANKS = 5
"""Fewer groups than this on the wrong side, as it were (groups × (1 - area)), and the bootstrap of a rank is too narrow."""


def class_figures(cases: Cases, index: int) -> dict[str, Estimate]:
    """Precision, recall, F1 and prevalence of one class.

    F1 is 2J / (1 + J) of J = TP / (TP + FP + FN), a share of the images that are of the class or called it: its interval is the
    share's, carried over. (Takahashi et al., Applied Intelligence 2022, compare delta-method intervals; this one keeps to [0, 1].)
    """
    of_class, called = cases.truth == index, cases.predicted == index
    prevalence = share(cases, of_class, np.ones(len(of_class), dtype=bool))
    if not of_class.any():
        return {**{name: without(NO_CASES) for name in ("precision", "recall", "f1")}, "prevalence": prevalence}
    jaccard = share(cases, called & of_class, called | of_class)
    f1 = {key: intervals.f1_of(value) if isinstance(value, float) else value for key, value in jaccard.items()}
    precision = share(cases, of_class, called) if called.any() else without("never predicted")
    return {"precision": precision, "recall": share(cases, called, of_class), "f1": f1, "prevalence": prevalence}


def share(cases: Cases, hits: NDArray[np.bool_], among: NDArray[np.bool_]) -> Estimate:
    """The share of `hits` (N,) among the images `among` (N,), Wilson with design effect."""
    return share_of(hits, among, cases.groups)


def share_of(hits: NDArray[np.bool_], among: NDArray[np.bool_], of_group: NDArray[np.int64]) -> Estimate:
    """As :func:`share`, of images whose groups are `of_group` (N,)."""
    hit, groups = hits[among], of_group[among]
    if not len(hit):
        return without(NO_CASES)
    value = float(hit.mean())
    if groups.min() == groups.max():
        return estimate(value, None, ONE_GROUP)
    return estimate(value, intervals.wilson(value, intervals.effective_cases(hit, groups)))


def mean_of_shares(
    values: NDArray[np.float64],
    per_class: dict[str, dict[str, Estimate]],
    name: str,
    drawn: NDArray[np.float64] | None,
    cases: Cases,
    absent: list[str],
) -> Estimate:
    """A mean over classes: the bootstrap's interval and the one made of the classes' own, whichever reaches further."""
    value = float(confusion.macro(values))
    parts = [figures[name] for figures in per_class.values() if figures[name]["value"] is not None]
    if not parts:
        return without(NO_CASES)
    reason = lacking(per_class, name) if drawn is not None else ONE_GROUP
    if drawn is None or reason:
        return estimate(value, None, reason, _note(absent, cases))
    made = intervals.of_mean([part["value"] for part in parts], [Interval(part["low"], part["high"]) for part in parts])
    return estimate(value, made.around(intervals.percentiles(drawn, cases.group_count)), note=_note(absent, cases))


def ranks(cases: Cases, draws: Resampled | None, only: int | None = None) -> tuple[Estimate, Estimate]:
    """AUROC and AUPRC: the positive class's for two classes, else the mean over classes. `only`: of one of these classes by itself."""
    read = cases.read
    truth, p, groups = cases.truth[read], cases.probabilities[read], cases.groups[read]
    everyone = [cases.positive] if cases.positive is not None else list(range(len(cases.classes)))
    judged = everyone if only is None else [only]
    areas = np.array([ranking.area_of(truth == index, p[:, index]) for index in judged])
    known = np.isfinite(areas[:, 0])
    absent = [cases.classes[index] for index, there in zip(judged, known, strict=True) if not there]
    if not known.any():
        reason = _without_two(cases.classes, truth, only)
        return without(reason), without(reason)
    sides = [(np.unique(groups[truth == index]).size, np.unique(groups[truth != index]).size) for index in judged]
    single = [cases.classes[index] for index, side, there in zip(judged, sides, known, strict=True) if there and min(side) < 2]
    found = []
    for column, drawn in enumerate((draws.auroc, draws.auprc) if draws else (None, None)):
        value = float(areas[known, column].mean())
        if drawn is None or single:
            reason = f"{', '.join(single)}: one group only with, or without, the class" if single else ONE_GROUP
            found.append(estimate(value, None, reason, _note(absent, cases)))
        else:
            picked = [side for side, there in zip(sides, known, strict=True) if there]
            columns = [everyone.index(index) for index, there in zip(judged, known, strict=True) if there]
            interval = _area_interval(areas[known, column], drawn[:, columns], picked, cases.group_count, ranked=column == 0)
            found.append(estimate(value, interval, note=_note(absent, cases)))
    return found[0], found[1]


def _without_two(classes: tuple[str, ...], truth: NDArray[np.int64], only: int | None) -> str:
    """Why there is no rank: images read of one class alone, or none, or none of the class asked for."""
    if not len(truth) or (only is not None and not (truth == only).any()):
        return NO_CASES
    return f"no cases of two classes (all {len(truth)} images read are {classes[truth[0]]})"


def _area_interval(
    values: NDArray[np.float64], drawn: NDArray[np.float64], sides: list[tuple[int, int]], groups: int, ranked: bool
) -> Interval:
    """The bootstrap's interval of the mean of J areas; where one of them rests on few groups or is extreme, no narrower than the
    analytic one: Newcombe's for AUROC, Wilson's over the positive groups for AUPRC (the binomial interval of Boyd et al., ECML 2013)."""
    means = np.full(len(drawn), np.nan)
    some = np.isfinite(drawn).any(axis=1)
    means[some] = np.nanmean(drawn[some], axis=1)
    interval = intervals.percentiles(means, groups)
    own, few = [], False
    for value, column, (positives, negatives) in zip(values.tolist(), drawn.T, sides, strict=True):
        each = intervals.percentiles(column, groups)
        if min(positives, negatives if ranked else positives) * min(value, 1 - value) < FEW_RANKS:
            few = True
            each = each.around(intervals.auroc_interval(value, positives, negatives) if ranked else intervals.wilson(value, positives))
        own.append(each.around(Interval(value, value)))
    return interval.around(intervals.of_mean(values.tolist(), own)) if few else interval


def probability_figures(cases: Cases, draws: Resampled | None) -> tuple[Estimate, Estimate]:
    """Brier score and ECE of the images read."""
    read = cases.read
    truth, p, groups = cases.truth[read], cases.probabilities[read], cases.groups[read]
    if not len(truth):
        return without(NO_CASES), without(NO_CASES)
    brier = float(probability.brier_terms(truth, p, cases.positive).mean())
    ece = float(probability.calibration_error(probability.calibration_gaps(truth, p).sum(axis=0), len(truth)))
    if draws is None or groups.min() == groups.max():
        return estimate(brier, None, ONE_GROUP), estimate(ece, None, ONE_GROUP)
    right = np.argmax(p, axis=1) == truth
    uniform, independent = bool(right.all() or not right.any()), intervals.independent_at_least(groups)
    most = 1.0 if cases.positive is not None else 2.0
    spread = intervals.ece_interval(ece, draws.ece, draws.ece_noise, cases.group_count)
    if uniform:
        hidden = intervals.wilson(0.0, independent).high
        spread = spread.around(Interval(max(0.0, ece - hidden), min(1.0, ece + hidden)))
    return estimate(
        brier, _brier_interval(brier / most, draws.brier_t, own_error(cases, "brier") / most, independent, uniform, most)
    ), estimate(ece, spread)


def _brier_interval(share: float, drawn: NDArray[np.float64], error: float, independent: float, uniform: bool, most: float) -> Interval:
    """The bootstrap-t interval within Wilson's for as many coins as there are groups, and that one itself where groups are few or
    none, or all, of the images were called wrong.

    A term of the score lies between 0 and `most`, so its variance is at most a coin's: that bound holds whatever was not seen yet.
    `share`, `error`: the score and its standard error as shares of `most`.
    """
    limit = intervals.wilson(share, independent)
    if uniform or error == 0 or independent < intervals.FEW:
        return Interval(most * limit.low, most * limit.high)
    spread = intervals.studentized(share, error, drawn)
    return Interval(most * max(spread.low, limit.low), most * min(spread.high, limit.high))


def lacking(per_class: dict[str, dict[str, Estimate]], name: str) -> str:
    """Why a mean has no interval: classes of which one group only is there."""
    single = [label for label, figures in per_class.items() if figures[name]["value"] is not None and figures[name]["low"] is None]
    return f"{', '.join(single)}: {ONE_GROUP}" if single else ""


def _note(absent: list[str], cases: Cases) -> str:
    """What a mean over classes leaves out."""
    if not absent:
        return ""
    return f"over {len(cases.classes) - len(absent)} of {len(cases.classes)} classes; no cases of {', '.join(absent)}"


def estimate(value: float, interval: Interval | None, reason: str = "", note: str = "") -> Estimate:
    """The stored form; an interval always holds its value (a biased bootstrap may lie beside it)."""
    found: Estimate = {"value": value, "low": None, "high": None}
    if interval is not None:
        found |= {"low": float(min(interval.low, value)), "high": float(max(interval.high, value))}
    return found | ({"reason": reason} if reason else {}) | ({"note": note} if note else {})


def without(reason: str) -> Estimate:
    return {"value": None, "reason": reason}
