"""The figures that a reviewer asks for beyond the headline: specificity, NPV, MCC, calibration line, log loss … (docs/estimates.md)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from medtl.evaluation import agreement, calibration_line, confusion, delong, intervals, sums
from medtl.evaluation.cases import Cases
from medtl.evaluation.figures import NO_CASES, ONE_GROUP, Estimate, estimate, ranks, share, without
from medtl.evaluation.intervals import FEW, Interval
from medtl.evaluation.resampling import Resampled

TOP = (2, 3)
FEW_SIDES = f"fewer than {FEW} groups on a side"
FEW_SURPRISES = "too few groups, or no mistake seen"


def of_class(cases: Cases, index: int, draws: Resampled | None) -> dict[str, Estimate]:
    """What belongs to one class against the rest."""
    of_it, read = cases.truth == index, cases.predicted >= 0
    elsewhere = read & (cases.predicted != index)
    auroc, auprc = _ranks_of(cases, index, draws)
    intercept, slope = _line(cases, index)
    return {
        "specificity": share(cases, elsewhere, ~of_it),
        "npv": share(cases, ~of_it, elsewhere) if elsewhere.any() else without("never ruled out"),
        "auroc": auroc,
        "auroc_delong": _delong(cases, index),
        "auprc": auprc,
        "auprc_baseline": share(cases, of_it, cases.read),
        "calibration_intercept": intercept,
        "calibration_slope": slope,
    }


def overall(cases: Cases, draws: Resampled | None, found: Mapping[str, Estimate], lacking: str = "") -> dict[str, Estimate]:
    """What belongs to all classes together. `found`: the entry's figures so far (accuracy, brier, ece); `lacking`: why a mean over
    classes has no interval."""
    table, unread = confusion.confusion(cases.truth, cases.predicted, len(cases.classes))
    support = table.sum(axis=1) + unread
    f1s, precisions = confusion.f1(table, unread), confusion.precision(table)
    accuracy = found["accuracy"]
    chance = float(agreement.chance(table, unread))
    beyond = 1 / (1 - chance) if chance < 1 else 1.0
    reason = lacking or ("" if draws is not None else ONE_GROUP)
    entry: dict[str, Estimate] = {}
    for name, value, scale, lowest, undefined in (
        ("weighted_precision", agreement.by_support(precisions, support), 1.0, 0.0, NO_CASES),
        ("weighted_f1", agreement.by_support(f1s, support), 1.0, 0.0, NO_CASES),
        ("mcc", agreement.mcc(table, unread), beyond, -1.0, "all images are of one class, or called one"),
        ("kappa", agreement.kappa(table, unread), beyond, -1.0, "all images are of one class and called it"),
    ):
        drawn = getattr(draws, name) if draws is not None and not reason else None
        entry[name] = _composite(float(value), drawn, cases.group_count, accuracy, scale, lowest, reason, undefined)
    entry["weighted_recall"] = accuracy
    entry |= {f"top_{k}_accuracy": _top(cases, k) for k in TOP if k < len(cases.classes)}
    return {**entry, "auprc_baseline": _baseline(cases), **_of_probabilities(cases, draws, found)}


def _composite(
    value: float, drawn: NDArray[np.float64] | None, groups: int, accuracy: Estimate, scale: float, lowest: float, why: str, undefined: str
) -> Estimate:
    """The bootstrap's interval, and accuracy's carried over, whichever reaches further: a table without an error never shows one when it is
    resampled. Carried over as if chance were known, as Cohen (1960) does: kappa is (accuracy - chance) / (1 - chance)."""
    if not np.isfinite(value):
        return without(undefined if accuracy["value"] is not None else NO_CASES)
    if drawn is None or accuracy["low"] is None:
        return estimate(value, None, why or accuracy["reason"])
    down, up = (scale * (accuracy[end] - accuracy["value"]) for end in ("low", "high"))
    reach = Interval(value + down, value + up)
    if np.isfinite(drawn).any():
        reach = reach.around(intervals.percentiles(drawn, groups))
    return estimate(value, Interval(max(lowest, reach.low), min(1.0, reach.high)))


def _top(cases: Cases, k: int) -> Estimate:
    """The share of images whose class is among the k most probable (the first of equals); an unread image's is not."""
    p = np.nan_to_num(cases.probabilities)
    among = np.argsort(-p, axis=1, kind="stable")[:, :k] == cases.truth[:, None]
    return share(cases, among.any(axis=1) & cases.read, np.ones(len(cases.truth), dtype=bool))


def _baseline(cases: Cases) -> Estimate:
    """What the AUPRC of guessing is: the positive class's prevalence; as a mean over classes, one over their number."""
    read = cases.read
    if cases.positive is not None:
        return share(cases, cases.truth == cases.positive, read)
    present = len(np.unique(cases.truth[read]))
    return estimate(1 / present, None, "follows from the number of classes") if present else without(NO_CASES)


def _of_probabilities(cases: Cases, draws: Resampled | None, found: Mapping[str, Estimate]) -> dict[str, Estimate]:
    """Log loss, mean squared error, the ECE less its noise, and what the Brier score is made of."""
    brier, ece, read = found["brier"], found["ece"], cases.read
    parts = ("brier_reliability", "brier_resolution", "brier_uncertainty")
    if not read.any():
        return {name: without(NO_CASES) for name in ("log_loss", "mse", "ece_corrected", *parts)}
    own = {name: each.sum(axis=0, keepdims=True) for name, each in sums.per_group(cases).items()}
    values = {
        name: float(each[0])
        for name, each in sums.figures(own, {k: v[0] for k, v in own.items()}, cases.positive).items()
        if each.ndim == 1
    }
    mse = {
        key: value / len(cases.classes) if isinstance(value, float) and cases.positive is None else value for key, value in brier.items()
    }
    entry = {"log_loss": log_loss(cases, values["log_loss"], draws), "mse": mse}
    if draws is None or ece["low"] is None:
        corrected = without("the noise of one group is not known")
        return {**entry, "ece_corrected": corrected, **{name: estimate(values[name], None, ONE_GROUP) for name in parts}}
    return {
        **entry,
        "ece_corrected": estimate(ece["value"] - float(np.nanmean(draws.ece_noise)), Interval(ece["low"], ece["high"])),
        **{name: _part(name, values[name], cases, draws) for name in parts},
    }


def log_loss(cases: Cases, value: float, draws: Resampled | None) -> Estimate:
    """`value` of the images read, with its interval: bootstrap-t; what was never seen to go wrong may go wrong by any amount, so then there
    is none."""
    read = cases.read
    truth, p, groups = cases.truth[read], cases.probabilities[read], cases.groups[read]
    if draws is None or groups.min() == groups.max():
        return estimate(value, None, ONE_GROUP)
    error = sums.own_error(cases, "log_loss")
    if _uniform(truth, p) or error == 0 or intervals.independent_at_least(groups) < FEW:
        return estimate(value, None, FEW_SURPRISES)
    spread = intervals.studentized(value, error, draws.log_loss_t)
    if not np.isfinite(spread).all():
        return estimate(value, None, FEW_SURPRISES)
    return estimate(value, Interval(max(0.0, spread.low), spread.high))


def _part(name: str, value: float, cases: Cases, draws: Resampled) -> Estimate:
    """Reliability's interval as ECE's, whose bias it shares; resolution's both ways, for the same reason; uncertainty's by percentiles."""
    truth, groups = cases.truth[cases.read], cases.group_count
    if truth.min() == truth.max():
        return estimate(value, None, "all images read are of one class")
    if name == "brier_uncertainty":
        return estimate(value, intervals.percentiles(draws.brier_uncertainty, groups))
    if _uniform(truth, cases.probabilities[cases.read]):
        return estimate(value, None, FEW_SURPRISES)
    if name == "brier_reliability":
        return estimate(value, intervals.ece_interval(value, draws.brier_reliability, draws.reliability_noise, groups))
    return estimate(value, intervals.both_ways(value, intervals.percentiles(draws.brier_resolution, groups)))


def _uniform(truth: NDArray[np.int64], p: NDArray[np.float64]) -> bool:
    """Whether the largest probability is right everywhere, or nowhere: then no resample shows what else may happen."""
    right = np.argmax(p, axis=1) == truth
    return bool(right.all() or not right.any())


def _ranks_of(cases: Cases, index: int, draws: Resampled | None) -> tuple[Estimate, Estimate]:
    """AUROC and AUPRC of one class; of two classes the other one's AUROC is the same, and its AUPRC is not asked for."""
    if cases.positive is None or index == cases.positive:
        return ranks(cases, draws, only=index)
    return ranks(cases, draws, only=cases.positive)[0], without(f"given for {cases.classes[cases.positive]}, the positive class")


def _sides(cases: Cases, index: int) -> tuple[NDArray[np.bool_], int]:
    """(N,) of the class, of the images read; and how many groups the side has that has fewer."""
    of_it, groups = cases.truth[cases.read] == index, cases.groups[cases.read]
    return of_it, min(np.unique(groups[of_it]).size, np.unique(groups[~of_it]).size)


def _delong(cases: Cases, index: int) -> Estimate:
    """AUROC with Obuchowski's interval, where groups are enough for it and some pair is in the wrong order."""
    of_it, fewest = _sides(cases, index)
    if not fewest:
        return without(NO_CASES)
    area, error = delong.clustered_error(of_it, cases.probabilities[cases.read, index], cases.groups[cases.read])
    if fewest < FEW:
        return estimate(area, None, FEW_SIDES)
    if not 0 < area < 1 or error == 0:
        return estimate(area, None, "no pair in the wrong order, or none in the right one")
    return estimate(area, delong.interval(area, error, fewest))


def _line(cases: Cases, index: int) -> tuple[Estimate, Estimate]:
    """Calibration intercept and slope of one class against the rest."""
    of_it, fewest = _sides(cases, index)
    if not fewest:
        return without(NO_CASES), without(NO_CASES)
    groups = cases.groups[cases.read]
    if fewest < FEW:
        return without(FEW_SIDES), without(FEW_SIDES)
    line = calibration_line.calibration_line(of_it, cases.probabilities[cases.read, index], groups)
    slope = estimate(*line.slope) if line.slope else without(f"probabilities: {line.no_slope}")
    return estimate(*line.intercept), slope
