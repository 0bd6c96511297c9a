"""Several models on the same images: AUROC with what crosses models and patients, and how much of it exposure gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medtl.evaluation import ranking
from medtl.evaluation.crossed import Repeated, crossed
from medtl.evaluation.intervals import Interval
from medtl.evaluation.resampling import draw_counts

RESAMPLES = 500


@dataclass(frozen=True)
class Judge:
    """Images that several models are all judged on: one for each draw of labels, or each seed."""

    truth: NDArray[np.int64] | NDArray[np.float32]
    """(N,) 0 … K-1; of several findings per image (N, K) 1, 0, or NaN = unknown, each judged by itself, and the mean over them."""
    groups: NDArray[np.int64]
    """0 … G-1."""
    positive: int | None
    brightness: NDArray[np.float64]
    """(N,) by which images are matched."""

    def repeated(self, answers: Sequence[NDArray[np.float64]]) -> Repeated:
        """AUROC of each model's (N, K) answers, and on 500 draws of the patients."""
        return self._judged(answers, np.zeros(len(self.truth), dtype=np.int64))

    def matched(self, answers: Sequence[NDArray[np.float64]]) -> Repeated:
        """The same among images of like brightness: of pairs within the same fifth of it alone.

        What is left of an AUROC here was not read from an image's exposure. NaN where no fifth holds two classes.
        """
        return self._judged(answers, np.searchsorted(np.quantile(self.brightness, [0.2, 0.4, 0.6, 0.8]), self.brightness, side="right"))

    def _judged(self, answers: Sequence[NDArray[np.float64]], parts: NDArray[np.int64]) -> Repeated:
        """Over all pairs of a class and the rest that share one of `parts` (N,), the mean over judged classes."""
        groups = int(self.groups.max()) + 1
        values, drawn = [], []
        for each in answers:
            pairs = [_Pairs.of(self, each, np.flatnonzero(parts == part)) for part in np.unique(parts)]
            values.append(float(_area(pairs, np.ones((groups, 1)))[0]))
            blocks = draw_counts(groups, RESAMPLES, RESAMPLES, seed=0)
            drawn.append(np.concatenate([_area(pairs, counts.astype(np.float64)) for counts in blocks]))
        return crossed(values, drawn, groups, [Interval(np.nan, np.nan)] * len(values))


@dataclass(frozen=True)
class _Pairs:
    """Of one part of the images: each judged class against the rest, with the groups of its images."""

    orders: list[tuple[ranking.RankOrder, NDArray[np.int64]]]

    @classmethod
    def of(cls, judge: Judge, answers: NDArray[np.float64], inside: NDArray[np.intp]) -> _Pairs:
        truth, groups = judge.truth[inside], judge.groups[inside]
        if truth.ndim == 1:
            return cls([(order, groups) for order in ranking.one_against_rest(truth, answers[inside], judge.positive)])
        known = [np.flatnonzero(np.isfinite(present)) for present in truth.T]
        return cls([(ranking.rank(truth[own, k] == 1, answers[inside][own, k]), groups[own]) for k, own in enumerate(known)])

    def areas(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """(G, R) weights of groups → (2, R, K): AUROC times the pairs that it is of, and these pairs."""
        found = []
        for order, groups in self.orders:
            pairs = counts[groups[order.positives]].sum(axis=0) * counts[groups[order.negatives]].sum(axis=0)
            found.append([pairs * np.nan_to_num(ranking.curves_areas(order, counts, groups)[0]), pairs])
        return np.moveaxis(np.array(found), 0, -1)


def _area(pairs: Sequence[_Pairs], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """(R,) means over judged classes, NaN where none has a pair."""
    won, all_pairs = np.sum([each.areas(counts) for each in pairs], axis=0)
    areas: NDArray[np.float64] = np.divide(won, all_pairs, out=np.full_like(won, np.nan), where=all_pairs > 0)
    defined = np.isfinite(areas)
    means = np.full(len(areas), np.nan)
    np.divide(np.nansum(areas, axis=1), defined.sum(axis=1), out=means, where=defined.any(axis=1))
    return means
