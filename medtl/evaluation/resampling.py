"""The bootstrap over groups (patients): every composite estimate on the same 2,000 reweighted tables.

A resample draws G groups with replacement; a row then weighs as often as its group was drawn. Count-based figures need only
sums per group, so a block of resamples is one matrix product; ranks need one sort per class and cumulated weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medtl.evaluation import confusion, ranking, sums
from medtl.evaluation.cases import Cases

Floats = NDArray[np.float64]
RESAMPLES = 2000
BLOCK_BYTES = 8 * 2**20
"""Size of one (rows, resamples) array: a few of them are alive at once."""


@dataclass(frozen=True)
class Resampled:
    """Values per resample, NaN where a resample lacks what the figure needs. J: the judged classes (1 for two classes, else K)."""

    recalls: Floats
    """(R, K), as the next three."""
    precisions: Floats
    f1s: Floats
    supports: Floats
    """Images of each class."""
    auroc: Floats
    """(R, J)"""
    auprc: Floats
    """(R, J)"""
    weighted_precision: Floats
    """(R,), as all that follow."""
    weighted_f1: Floats
    mcc: Floats
    kappa: Floats
    brier: Floats
    brier_t: Floats
    """The resampled Brier score's distance from the table's own, in its own standard errors; ±inf where that error is 0."""
    log_loss: Floats
    log_loss_t: Floats
    """The same of the log loss."""
    ece: Floats
    ece_noise: Floats
    """What the sampling error alone adds up to: the ECE of the gaps less those of the table itself."""
    brier_reliability: Floats
    reliability_noise: Floats
    """The same of reliability."""
    brier_resolution: Floats
    brier_uncertainty: Floats

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
    read = cases.read
    truth, p, groups = cases.truth[read], cases.probabilities[read], cases.groups[read]
    orders = ranking.one_against_rest(truth, p, cases.positive) if len(truth) else []
    per_group = sums.per_group(cases)
    whole = {name: each.sum(axis=0) for name, each in per_group.items()}
    precise = np.float64 if len(cases.truth) > 2**22 else np.float32  # float32 counts exactly to 2**24
    block = int(np.clip(BLOCK_BYTES // (4 * len(cases.truth)), 1, resamples))
    blocks = []
    for counts in draw_counts(cases.numbered, resamples, block, seed):
        areas = [ranking.curves_areas(order, np.ascontiguousarray(counts, dtype=precise), groups) for order in orders]
        auroc, auprc = (np.stack([area[i] for area in areas], axis=1) if areas else np.full((counts.shape[1], 1), np.nan) for i in (0, 1))
        weights = counts.T.astype(np.float64)
        drawn = sums.figures({name: weights @ each for name, each in per_group.items()}, whole, cases.positive)
        blocks.append({**drawn, "auroc": auroc, "auprc": auprc})
    return Resampled(**{name: np.concatenate([each[name] for each in blocks]) for name in blocks[0]})
