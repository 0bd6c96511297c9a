"""The bootstrap over groups (patients): every composite estimate on the same 2,000 reweighted tables.

A resample draws G groups with replacement; a row then weighs as often as its group was drawn. Count-based figures need only
sums per group, so a block of resamples is one matrix product; ranks need one sort per class and cumulated weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medtl.evaluation import confusion, probability, ranking
from medtl.evaluation.cases import Cases

Floats = NDArray[np.float64]
RESAMPLES = 2000
BLOCK_BYTES = 8 * 2**20
"""Size of one (rows, resamples) array: a few of them are alive at once."""


@dataclass(frozen=True)
class Resampled:
    """Values per resample, NaN where a resample lacks what the figure needs. J: the judged classes (1 for two classes, else K)."""

    recalls: Floats
    """(R, K)"""
    f1s: Floats
    """(R, K)"""
    auroc: Floats
    """(R, J)"""
    auprc: Floats
    """(R, J)"""
    brier_t: Floats
    """(R,) the resampled Brier score's distance from the table's own, in its own standard errors; ±inf where that error is 0."""
    ece: Floats
    """(R,)"""
    ece_noise: Floats
    """(R,) what the sampling error alone adds up to: the ECE of the gaps less those of the table itself."""
    brier: Floats
    """(R,)"""

    @property
    def balanced_accuracy(self) -> Floats:
        """(R,)"""
        return confusion.macro(self.recalls)

    @property
    def macro_f1(self) -> Floats:
        """(R,)"""
        return confusion.macro(self.f1s)


def draw_counts(groups: int, resamples: int, block: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Blocks (groups, ≤ block) of how often each group is drawn; the same numbers whatever the block size."""
    generator = np.random.default_rng(seed)
    for start in range(0, resamples, block):
        size = min(block, resamples - start)
        drawn = generator.integers(0, groups, size=(size, groups)) + np.arange(size)[:, None] * groups
        yield np.bincount(drawn.ravel(), minlength=size * groups).reshape(size, groups).T


def resample(cases: Cases, seed: int = 0, resamples: int = RESAMPLES) -> Resampled:
    """All composite figures on `resamples` draws of the groups. Needs at least one row."""
    read, classes = cases.read, len(cases.classes)
    truth, p, groups = cases.truth[read], cases.probabilities[read], cases.groups[read]
    orders = ranking.one_against_rest(truth, p, cases.positive) if len(truth) else []
    sums = _sums_per_group(cases)
    precise = np.float64 if len(cases.truth) > 2**22 else np.float32  # float32 counts exactly to 2**24
    block = int(np.clip(BLOCK_BYTES // (4 * len(cases.truth)), 1, resamples))
    blocks = []
    for counts in draw_counts(cases.numbered, resamples, block, seed):
        areas = [ranking.curves_areas(order, np.ascontiguousarray(counts, dtype=precise), groups) for order in orders]
        auroc, auprc = (np.stack([area[i] for area in areas], axis=1) if areas else np.full((counts.shape[1], 1), np.nan) for i in (0, 1))
        blocks.append((*_from_sums(counts.T.astype(np.float64) @ sums, sums.sum(axis=0), classes), auroc, auprc))
    recalls, f1s, brier_t, ece, noise, brier, auroc, auprc = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    return Resampled(recalls, f1s, auroc, auprc, brier_t, ece, noise, brier)


def drawn_recalls(cases: Cases, seed: int = 0, resamples: int = RESAMPLES) -> tuple[Floats, Floats]:
    """Recall of every class, (K,), and on each draw of the groups, (R, K); an unread image is a miss. NaN where a draw lacks the class."""
    classes = len(cases.classes)
    of_class = np.zeros((cases.group_count, classes))
    np.add.at(of_class, (cases.groups, cases.truth), 1)
    right = np.zeros_like(of_class)
    np.add.at(right, (cases.groups, cases.truth), (cases.predicted == cases.truth).astype(np.float64))
    block = int(np.clip(BLOCK_BYTES // (8 * cases.group_count), 1, resamples))
    with np.errstate(invalid="ignore"):
        drawn = [
            (counts.T.astype(np.float64) @ right) / (counts.T.astype(np.float64) @ of_class)
            for counts in draw_counts(cases.group_count, resamples, block, seed)
        ]
        return right.sum(axis=0) / of_class.sum(axis=0), np.concatenate(drawn)


def _sums_per_group(cases: Cases) -> Floats:
    """(G, K² + K + 5 + BINS): confusion cells, unread per class, (images read, Brier terms and their products), calibration gaps."""
    classes, read = len(cases.classes), cases.read
    cell = np.where(cases.predicted < 0, classes * classes + cases.truth, cases.truth * classes + cases.predicted)
    cells = np.zeros((cases.numbered, classes * classes + classes))
    np.add.at(cells, (cases.groups, cell), 1)
    truth, p, groups = cases.truth[read], cases.probabilities[read], cases.groups[read]
    images = np.bincount(groups, minlength=cases.numbered)
    brier = np.bincount(groups, weights=probability.brier_terms(truth, p, cases.positive), minlength=cases.numbered)
    gaps = np.zeros((cases.numbered, probability.BINS))
    np.add.at(gaps, groups, probability.calibration_gaps(truth, p))
    return np.hstack([cells, np.column_stack([images, brier, images**2, images * brier, brier**2]), gaps])


def _from_sums(sums: Floats, whole: Floats, classes: int) -> tuple[Floats, ...]:
    """(R, …) weighted sums and the table's own (…) → recalls and F1 (R, K), Brier's t, ECE and its noise, Brier score, each (R,)."""
    squared, mean_sums = classes * classes, classes * classes + classes
    table, unread = sums[:, :squared].reshape(-1, classes, classes), sums[:, squared:mean_sums]
    gaps, own_gaps = sums[:, mean_sums + 5 :], whole[mean_sums + 5 :]
    images = np.where(sums[:, mean_sums] > 0, sums[:, mean_sums], np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        brier, error = mean_and_error(sums[:, mean_sums : mean_sums + 5])
        own_brier, _ = mean_and_error(whole[mean_sums : mean_sums + 5])
        return (
            confusion.recall(table, unread),
            confusion.f1(table, unread),
            np.where(brier == own_brier, 0.0, (brier - own_brier) / error),  # infinite where all groups drawn are alike
            probability.calibration_error(gaps, images),
            probability.calibration_error(gaps - own_gaps, images),
            brier,
        )


def mean_and_error(sums: Floats) -> tuple[Floats, Floats]:
    """A mean over images and its standard error between groups, out of sums over groups (…, 5) of n, x, n², n x, x².

    n: images of a group, x: their values' sum. The error is the linearised ratio estimator's, √Σ (x - mean n)² / Σ n.
    """
    images, total, squared_images, product, squared = np.moveaxis(sums, -1, 0)
    mean = total / images
    return mean, np.sqrt(np.maximum(squared - 2 * mean * product + mean**2 * squared_images, 0)) / images


def brier_error(cases: Cases) -> float:
    """The standard error of the table's own Brier score."""
    classes = len(cases.classes)
    start = classes * classes + classes
    return float(mean_and_error(_sums_per_group(cases).sum(axis=0)[start : start + 5])[1])
