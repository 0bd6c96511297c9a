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

    balanced_accuracy: Floats
    """(R,)"""
    macro_f1: Floats
    """(R,)"""
    auroc: Floats
    """(R, J)"""
    auprc: Floats
    """(R, J)"""
    brier: Floats
    """(R,)"""
    ece: Floats
    """(R,)"""
    ece_noise: Floats
    """(R,) what the sampling error alone adds up to: the ECE of the gaps less those of the table itself."""


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
    for counts in draw_counts(cases.group_count, resamples, block, seed):
        areas = [ranking.curves_areas(order, np.ascontiguousarray(counts, dtype=precise), groups) for order in orders]
        auroc, auprc = (np.stack([area[i] for area in areas], axis=1) if areas else np.full((counts.shape[1], 1), np.nan) for i in (0, 1))
        blocks.append((*_from_sums(counts.T.astype(np.float64) @ sums, sums.sum(axis=0), classes), auroc, auprc))
    balanced, macro_f1, brier, ece, noise, auroc, auprc = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    return Resampled(balanced, macro_f1, auroc, auprc, brier, ece, noise)


def _sums_per_group(cases: Cases) -> Floats:
    """(G, K² + K + 2 + BINS): confusion cells, unread per class, images read, Brier terms, calibration gaps."""
    n, classes = len(cases.truth), len(cases.classes)
    cell = cases.truth * classes + cases.predicted
    cell = np.where(cases.predicted < 0, classes * classes + cases.truth, cell)
    cells = np.zeros((cases.group_count, classes * classes + classes))
    np.add.at(cells, (cases.groups, cell), 1)
    read = cases.read
    truth, p = cases.truth[read], cases.probabilities[read]
    terms = np.zeros((n, 2 + probability.BINS))
    terms[read] = np.column_stack(
        [np.ones(len(truth)), probability.brier_terms(truth, p, cases.positive), probability.calibration_gaps(truth, p)]
    )
    summed = np.zeros((cases.group_count, terms.shape[1]))
    np.add.at(summed, cases.groups, terms)
    return np.hstack([cells, summed])


def _from_sums(sums: Floats, whole: Floats, classes: int) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """(R, …) weighted sums and the table's own (…) → balanced accuracy, macro-F1, Brier, ECE and its noise, each (R,)."""
    squared = classes * classes
    table, unread = sums[:, :squared].reshape(-1, classes, classes), sums[:, squared : squared + classes]
    images, brier, gaps = sums[:, squared + classes], sums[:, squared + classes + 1], sums[:, squared + classes + 2 :]
    with np.errstate(divide="ignore", invalid="ignore"):
        return (
            confusion.macro(confusion.recall(table, unread)),
            confusion.macro(confusion.f1(table, unread)),
            brier / images,
            probability.calibration_error(gaps, images),
            probability.calibration_error(gaps - whole[squared + classes + 2 :], images),
        )
