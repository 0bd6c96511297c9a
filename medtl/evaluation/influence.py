"""Figures with the influence of each group on them: what two models' difference on the same images is judged by.

A figure of many groups moves by its influence when a group is weighed up a little (Hampel, JASA 1974), and the influences of a
difference are the differences of the influences: what makes a patient hard for both models cancels out. Of an AUROC they are the
placements of DeLong (Biometrics 1988), summed over a group as by Obuchowski (Biometrics 1997); of shares that are right the test of
Obuchowski (Statistics in Medicine 1998), which is McNemar's where each group has one image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from medtl.evaluation.cases import Cases
from medtl.evaluation.delong import placements
from medtl.evaluation.probability import brier_terms, log_loss_terms

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Linear:
    """One figure of one table."""

    value: float
    influence: Floats
    """(G,) of every group; they add up to 0."""
    groups: int
    """Groups whose variation counts: of a rank the fewer of those with and without the class."""


def figures(cases: Cases) -> dict[str, Linear]:
    """AUROC, balanced accuracy, macro-F1, accuracy, Brier score; of two classes sensitivity and specificity, of more each class's recall.

    An image that was not read is a miss, and has no part in AUROC and Brier score. A figure that a class is missing for is left out; all
    are where there is no image, as of a finding that is known of none.
    """
    if not len(cases.truth):
        return {}
    right = (cases.predicted == cases.truth).astype(np.float64)
    everything = np.ones(len(right), dtype=bool)
    present = [index for index in range(len(cases.classes)) if (cases.truth == index).any()]
    recalls = {index: share_of(cases, right, cases.truth == index) for index in present}
    found: dict[str, Linear | None] = {"auroc": auroc(cases)}
    found["balanced accuracy"] = mean_of([recalls[index] for index in present])
    found["macro-F1"] = mean_of([f1_of(cases, index) for index in present])
    found["accuracy"] = share_of(cases, right, everything)
    if cases.positive is not None:
        found |= {"sensitivity": recalls.get(cases.positive), "specificity": recalls.get(1 - cases.positive)}
    else:
        found |= {f"recall of {cases.classes[index]}": recalls[index] for index in present}
    found["Brier score"] = brier(cases)
    return {name: figure for name, figure in found.items() if figure is not None}


def share_of(cases: Cases, hits: Floats, among: Mask) -> Linear:
    """The share of `hits` (N,) among the images `among` (N,)."""
    value = float(hits[among].mean())
    return Linear(value, _over_groups(cases, np.where(among, hits - value, 0) / among.sum()), np.unique(cases.groups[among]).size)


def f1_of(cases: Cases, index: int) -> Linear:
    """2 TP / (2 TP + FP + FN): a share of the marks `is` and `called`, so that both its parts move."""
    of_class, called = cases.truth == index, cases.predicted == index
    marks, hits = of_class.astype(np.float64) + called, 2.0 * (of_class & called)
    value = float(hits.sum() / marks.sum())
    return Linear(value, _over_groups(cases, (hits - value * marks) / marks.sum()), np.unique(cases.groups[marks > 0]).size)


def auroc(cases: Cases) -> Linear | None:
    """The positive class's for two classes, else the mean over the classes that are there."""
    truth = cases.truth[cases.read]
    judged = [cases.positive] if cases.positive is not None else list(range(len(cases.classes)))
    areas = [area_of(cases, index) for index in judged if (truth == index).any() and (truth != index).any()]
    return mean_of(areas) if areas else None


def area_of(cases: Cases, index: int) -> Linear:
    """AUROC of one class against the rest, of the images read; both sides must have some."""
    read = cases.read
    side, score, groups = cases.truth[read] == index, cases.probabilities[read, index], cases.groups[read]
    area, placed = placements(side, score)
    whole = np.zeros(len(read))
    whole[read] = np.where(side, (placed - area) / side.sum(), (placed - area) / (~side).sum())
    fewer = min(np.unique(groups[part]).size for part in (side, ~side))
    return Linear(area, _over_groups(cases, whole), fewer)


def brier(cases: Cases) -> Linear | None:
    """The Brier score of the images read; None where none was."""
    read = cases.read
    return _mean_term(cases, brier_terms(cases.truth[read], cases.probabilities[read], cases.positive)) if read.any() else None


def log_loss(cases: Cases) -> Linear | None:
    """The log loss of the images read; None where none was."""
    read = cases.read
    return _mean_term(cases, log_loss_terms(cases.truth[read], cases.probabilities[read])) if read.any() else None


def _mean_term(cases: Cases, of_read: Floats) -> Linear:
    """The mean of the terms of the images read."""
    terms = np.zeros(len(cases.truth))
    terms[cases.read] = of_read
    return share_of(cases, terms, cases.read)


def mean_of(parts: Sequence[Linear]) -> Linear:
    """The mean of figures of the same groups."""
    influence = np.mean([part.influence for part in parts], axis=0)
    return Linear(float(np.mean([part.value for part in parts])), influence, min(part.groups for part in parts))


def _over_groups(cases: Cases, of_images: Floats) -> Floats:
    return np.bincount(cases.groups, weights=of_images, minlength=cases.numbered).astype(np.float64)


def both_read(one: Cases, other: Cases) -> tuple[Cases, Cases]:
    """Two tables of the same images, in which an image that one model could not read has no probability in either."""
    lost = ~(one.read & other.read)
    kept, compared = (replace(each, probabilities=np.where(lost[:, None], np.nan, each.probabilities)) for each in (one, other))
    return kept, compared
