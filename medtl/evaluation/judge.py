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

    truth: NDArray[np.int64]
    groups: NDArray[np.int64]
    """0 … G-1."""
    positive: int | None
    brightness: NDArray[np.float64]
    """(N,) by which images are matched."""

    def matched(self, answers: Sequence[NDArray[np.float64]]) -> float:
        """The mean over models of the AUROC among images of like brightness: of pairs within the same fifth of it alone.

        What is left of an AUROC here was not read from an image's exposure. NaN where no fifth holds two classes.
        """
        fifth = np.searchsorted(np.quantile(self.brightness, [0.2, 0.4, 0.6, 0.8]), self.brightness, side="right")
        return float(np.mean([self._within(each, fifth) for each in answers]))

    def _within(self, answers: NDArray[np.float64], parts: NDArray[np.int64]) -> float:
        """Over all pairs of a class and the rest that share a part, the mean over judged classes."""
        judged = [1 if self.positive is None else self.positive] if answers.shape[1] == 2 else range(answers.shape[1])
        areas = []
        for k in judged:
            pairs = [
                (own.sum() * (~own).sum(), ranking.area_of(own, answers[inside, k])[0])
                for inside in (parts == part for part in np.unique(parts))
                for own in [self.truth[inside] == k]
                if 0 < own.sum() < len(own)
            ]
            areas.append(np.average([area for _, area in pairs], weights=[count for count, _ in pairs]) if pairs else np.nan)
        return float(np.nanmean(areas)) if np.isfinite(areas).any() else np.nan

    def repeated(self, answers: Sequence[NDArray[np.float64]]) -> Repeated:
        """AUROC of each model's (N, K) answers, and on 500 draws of the patients."""
        values, drawn = zip(*(self._areas(each) for each in answers), strict=True)
        return crossed(list(values), list(drawn), int(self.groups.max()) + 1, [Interval(np.nan, np.nan)] * len(values))

    def _areas(self, answers: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        orders = ranking.one_against_rest(self.truth, answers, self.positive)
        blocks = [
            np.nanmean([ranking.curves_areas(order, counts.astype(np.float64), self.groups)[0] for order in orders], axis=0)
            for counts in draw_counts(int(self.groups.max()) + 1, RESAMPLES, RESAMPLES, seed=0)
        ]
        return ranking.auroc(self.truth, answers, self.positive), np.concatenate(blocks)
