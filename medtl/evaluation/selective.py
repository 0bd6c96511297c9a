"""If only the surest images were answered, how often would it be wrong? Risk over coverage, and the area under that curve.

Geifman & El-Yaniv, "Selective Classification for Deep Neural Networks", NeurIPS 2017. AURC is the mean of the risk over all coverages,
1/n … n/n; E-AURC is AURC less that of an order that puts every mistake last (Geifman, Uziel & El-Yaniv, ICLR 2019): 0 where confidence
knows every mistake. Images of equal confidence are taken in the mean over their orders.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
from scipy.special import digamma, logit

from medtl.contracts import Threshold
from medtl.evaluation import intervals
from medtl.evaluation.cases import Cases, Findings
from medtl.evaluation.figures import NO_CASES, ONE_GROUP, Estimate, estimate, without
from medtl.evaluation.intervals import FEW
from medtl.evaluation.resampling import BLOCK_BYTES, RESAMPLES, draw_counts

Floats = NDArray[np.float64]
COVERAGES = np.round(np.arange(0.05, 1.0001, 0.01), 2)
BLOCKS = 1000
"""Into so many steps of confidence the resamples are cut."""
FEW_MISTAKES = f"fewer than {FEW} groups with a mistake, or without one"


@dataclass(frozen=True)
class RiskCoverage:
    """Of the images read: the share called wrong among the surest `coverage`, (C,) each, with 95 % bands."""

    coverage: Floats
    risk: Floats
    low: Floats
    high: Floats
    aurc: Estimate
    e_aurc: Estimate


def confidence(cases: Cases, threshold: Threshold | None = None) -> Floats:
    """(N,) how sure the stored rule is, of the images read: of two classes with one threshold how far the log-odds are from it, else the
    probability of what was called."""
    read = cases.read
    if cases.positive is not None and isinstance(threshold, float | int):
        return _from_threshold(cases.probabilities[read, cases.positive], float(threshold))
    return np.asarray(cases.probabilities[read, cases.predicted[read]])


def mistakes(cases: Cases) -> NDArray[np.bool_]:
    """(N,) whether each image read was called wrong."""
    return np.asarray((cases.predicted != cases.truth)[cases.read])


def of_cases(cases: Cases, threshold: Threshold | None = None, seed: int = 0, resamples: int = RESAMPLES) -> RiskCoverage | None:
    """The curve of one class per image; None where no image was read."""
    return risk_coverage(confidence(cases, threshold), mistakes(cases), cases.groups[cases.read], seed, resamples)


def of_findings(told: Findings, threshold: Threshold | None = None, seed: int = 0, resamples: int = RESAMPLES) -> RiskCoverage | None:
    """The curve of several findings per image: a mistake is any known finding called wrong, confidence that of the least sure one."""
    read = np.isfinite(told.probabilities).all(axis=1)
    p, called, truth = told.probabilities[read], told.predicted[read], told.truth[read]
    if isinstance(threshold, tuple | list):
        each = np.stack([_from_threshold(p[:, k], cut) for k, cut in enumerate(threshold)], axis=1)
    else:
        each = np.where(called == 1, p, 1 - p)
    wrong = (np.isfinite(truth) & (truth != called)).any(axis=1)
    return risk_coverage(each.min(axis=1, initial=np.inf), wrong, told.groups[read], seed, resamples)


def risk_coverage(sure: ArrayLike, wrong: ArrayLike, groups: ArrayLike, seed: int = 0, resamples: int = RESAMPLES) -> RiskCoverage | None:
    """Of (N,) confidences (higher is surer), mistakes and groups. The band is the bootstrap's over groups, no narrower than Wilson's with
    design effect; the areas have no interval where fewer than ten groups hold a mistake, or none. None of no images."""
    score, error = np.asarray(sure, dtype=np.float64), np.asarray(wrong, dtype=bool)
    if not len(score):
        return None
    order = np.argsort(-score, kind="stable")
    members = np.unique(np.asarray(groups), return_inverse=True)[1][order]
    mistaken, ends = error[order].astype(np.float64), np.flatnonzero(np.append(np.diff(score[order]) != 0, True))
    images, errors = (ends + 1).astype(np.float64)[:, None], np.cumsum(mistaken)[ends, None]
    risk = _at(images, errors)[:, 0]
    values = [float(each[0]) for each in _areas(images, errors, _harmonic)]
    count = int(members.max()) + 1
    if count < 2:
        nothing = np.full(len(COVERAGES), np.nan)
        return RiskCoverage(COVERAGES, risk, nothing, nothing, *(estimate(value, None, ONE_GROUP) for value in values))
    curves, drawn = _drawn(mistaken, members, ends, count, seed, resamples)
    band = _band(risk, curves, mistaken, members, count)
    mixed = min(np.unique(members[mistaken == side]).size for side in (0.0, 1.0))
    areas = [
        estimate(value, None, FEW_MISTAKES) if mixed < FEW else estimate(value, intervals.percentiles(draws, count))
        for value, draws in zip(values, drawn, strict=True)
    ]
    return RiskCoverage(COVERAGES, risk, *band, *areas)


def areas_entry(found: RiskCoverage | None) -> dict[str, Estimate]:
    """As metrics.json has it."""
    return {"aurc": found.aurc, "e_aurc": found.e_aurc} if found else dict.fromkeys(("aurc", "e_aurc"), without(NO_CASES))


def _from_threshold(p: Floats, threshold: float) -> Floats:
    smallest = np.finfo(np.float64).tiny
    clipped = np.clip(p, smallest, 1 - np.finfo(np.float64).epsneg)
    cut = np.clip(threshold, smallest, 1 - np.finfo(np.float64).epsneg)
    return np.asarray(np.abs(logit(clipped) - logit(cut)))


def _drawn(
    mistaken: Floats, members: NDArray[np.int64], ends: NDArray[np.int64], groups: int, seed: int, resamples: int
) -> tuple[Floats, list[Floats]]:
    """(R, C) risks, and (R,) of either area, on draws of the groups. More than :data:`BLOCKS` blocks of equal confidence are joined."""
    block_of = np.searchsorted(ends, np.arange(len(members)))
    if len(ends) > BLOCKS:
        block_of = block_of * BLOCKS // len(ends)
    shape = (int(block_of[-1]) + 1, groups)
    images_of = csr_array((np.ones(len(members)), (block_of, members)), shape=shape)
    errors_of = csr_array((mistaken, (block_of, members)), shape=shape)
    curves, aurc, e_aurc = [], [], []
    for counts in draw_counts(groups, resamples, int(np.clip(BLOCK_BYTES // (8 * max(shape)), 1, resamples)), seed):
        weights = counts.astype(np.float64)
        images, errors = (np.cumsum(np.asarray(each @ weights), axis=0) for each in (images_of, errors_of))
        curves.append(_at(images, errors).T)
        areas = _areas(images, errors, lambda total: np.log(total + 0.5))
        aurc.append(areas[0])
        e_aurc.append(areas[1])
    return np.concatenate(curves), [np.concatenate(aurc), np.concatenate(e_aurc)]


def _at(images: Floats, errors: Floats) -> Floats:
    """(C, R) risk at each of :data:`COVERAGES`, of (B, R) images and mistakes down to the end of each block of equal confidence."""
    wanted = COVERAGES[:, None] * images[-1]
    first = np.zeros(1)
    columns = [
        np.interp(wanted[:, r], np.concatenate([first, images[:, r]]), np.concatenate([first, errors[:, r]]))
        for r in range(images.shape[1])
    ]
    return np.asarray(np.stack(columns, axis=1) / wanted)


def _areas(images: Floats, errors: Floats, harmonic: Callable[[Floats], Floats]) -> tuple[Floats, Floats]:
    """(R,) AURC and E-AURC. In a block from image x0 on, with e0 mistakes before it and a share s of its own, the risks at x0 + 1 … x1 add
    up to s (x1 - x0) + (e0 - s x0) (H(x1) - H(x0)), H being the harmonic numbers."""
    before, mistakes_before = (np.concatenate([np.zeros((1, each.shape[1])), each[:-1]]) for each in (images, errors))
    size, own = images - before, errors - mistakes_before
    slope = np.divide(own, size, out=np.zeros_like(own), where=size > 0)
    sums = harmonic(np.concatenate([np.zeros((1, images.shape[1])), images]))
    area = (slope * size + (mistakes_before - slope * before) * np.diff(sums, axis=0)).sum(axis=0) / images[-1]
    total, wrong = images[-1], errors[-1]
    right = total - wrong
    best = (wrong - right * (harmonic(total) - harmonic(right))) / total
    return area, area - best


def _harmonic(total: Floats) -> Floats:
    """Harmonic numbers less a constant; the resamples take log(n + 1/2), which is as good."""
    return np.asarray(digamma(total + 1.0))


def _band(risk: Floats, drawn: Floats, mistaken: Floats, members: NDArray[np.int64], groups: int) -> tuple[Floats, Floats]:
    """(C,) low and high: the percentiles of the draws and Wilson's interval of the surest images, whichever reaches further."""
    tail = intervals.tail_of(groups)
    low, high = np.quantile(drawn, [tail, 1 - tail], axis=0)
    for place, share in enumerate(COVERAGES):
        surest = slice(max(1, round(share * len(members))))
        effective = intervals.effective_cases(mistaken[surest] > 0, members[surest])
        within = intervals.wilson(min(1.0, max(0.0, float(risk[place]))), effective)
        low[place], high[place] = min(low[place], within.low), max(high[place], within.high)
    return low, high
