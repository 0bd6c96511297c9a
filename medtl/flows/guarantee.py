"""`decision.guarantee`: thresholds that keep something for patients to come, tested on held-out images that chose nothing else.

A single network and its calibration have never met `split.held_out`, so all of it tests. An ensemble is calibrated on it: there half of the
groups, drawn by a hash, is kept for the test.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl import sets
from medtl.cohorts.chance import draw
from medtl.contracts import CALIBRATION, Threshold
from medtl.decisions.guarantee import Guaranteed, fewest_groups, fit, of_the_other_side
from medtl.decisions.settings import GuaranteeSettings
from medtl.experiment.schema import Experiment
from medtl.flows.judging import unit_of
from medtl.model.operating_point import Guarantee
from medtl.training.fit import targets_of


def kept_for_guarantees(held: pd.DataFrame, experiment: Experiment) -> NDArray[np.bool_]:
    """(N,) which held-out images of an ensemble calibrate nothing, so that they can guarantee something: those of half of the groups.

    The hash is of the smallest sha256 among a group's files, as for folds: records hold nothing else that is the same on every machine.
    """
    if experiment.decision.guarantee is None and experiment.decision.conformal is None:
        return np.zeros(len(held), dtype=bool)
    unit = held.groupby("group_id")["sha256"].transform("min")
    return np.array([draw(experiment.split.seed, f"guarantee:{each}") < 0.5 for each in unit])


def foreseen(rows: pd.DataFrame, experiment: Experiment) -> list[str]:
    """Before training: which guarantees will not be reachable, and what sets will never rule out, because too few groups are held out;
    `rows`: the records."""
    asked, conformal = experiment.decision.guarantee, experiment.decision.conformal
    if asked is None and conformal is None:
        return []
    held = rows[(rows["split"] == CALIBRATION) & (rows["label"] != "")]
    if experiment.split.fits is not None:
        held = held[kept_for_guarantees(held, experiment)]
    notes = [] if asked is None else _out_of_reach(held, experiment, asked)
    return notes if conformal is None else [*notes, *_never_ruled_out(held, experiment, conformal.alpha)]


def _out_of_reach(held: pd.DataFrame, experiment: Experiment, asked: GuaranteeSettings) -> list[str]:
    needed, wanted = fewest_groups(asked.at_least, asked.confidence), "with" if asked.measure == "recall" else "without"
    positive = experiment.task.positive_index
    return [
        f"decision.guarantee will not be reachable: it takes {needed:,} held-out groups {wanted} {name}, and there are {found:,}; "
        "hold out more, or ask for less"
        for (side, name), found in _groups(held, experiment).items()
        if found < needed and side == wanted and (positive is None or name == experiment.task.names[positive])
    ]


def _never_ruled_out(held: pd.DataFrame, experiment: Experiment, alpha: float) -> list[str]:
    """Of one class per image its being there; of findings their being there or not."""
    needed, several = sets.fewest_groups(alpha), experiment.task.kind == "multi"
    return [
        f"decision.conformal: no set will rule out {name}{' being absent' if side == 'without' else ''}: for alpha {alpha:g} it takes "
        f"{needed:,} held-out groups {side} {name}, and there are {found:,}; hold out more, or take a larger alpha"
        for (side, name), found in _groups(held, experiment).items()
        if found < needed and (several or side == "with")
    ]


def _groups(held: pd.DataFrame, experiment: Experiment) -> dict[tuple[str, str], int]:
    """(`with` or `without`, class or finding) → held-out groups."""
    truth, names = targets_of(held, experiment.task), experiment.task.names
    columns = truth.T if truth.ndim == 2 else [(truth == k).astype(np.float64) for k in range(len(names))]
    return {
        (side, name): int(held["group_id"][column == value].nunique())
        for name, column in zip(names, columns, strict=True)
        for side, value in (("with", 1.0), ("without", 0.0))
    }


def guarantee(
    p: NDArray[np.float64], held: pd.DataFrame, ordinary: Threshold, asked: GuaranteeSettings, experiment: Experiment
) -> tuple[Threshold, Guarantee]:
    """The threshold (or each finding's) that keeps what is asked, `ordinary` where that is out of reach; and what the package says of it.

    `p` (N, K) calibrated probabilities of the images of `held`, which must have chosen neither calibration nor anything else.
    """
    truth = targets_of(held, experiment.task)
    drawn = np.array([draw(experiment.split.seed, f"{row.sha256}:{row.frame}") for row in held.itertuples()])
    groups = held["group_id"].to_numpy()

    def known(column: int, present: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[Any], NDArray[Any]]:
        there = ~np.isnan(present)
        return p[there, column], present[there] == 1, groups[there], drawn[there]

    def fitted(cases: tuple[Any, ...], own: float) -> tuple[Guaranteed, float, tuple[int, int]]:
        found = fit(*cases, asked.measure, asked.at_least, asked.confidence)
        cut = own if found.threshold is None else found.threshold
        return found, cut, of_the_other_side(*cases, asked.measure, cut)

    if isinstance(ordinary, tuple):
        each = [fitted(known(k, truth[:, k]), own) for k, own in enumerate(ordinary)]
        threshold: Threshold = tuple(cut for _, cut, _ in each)
    else:
        positive = experiment.task.positive_index or 0
        each = [fitted(known(positive, (truth == positive).astype(np.float64)), ordinary)]
        threshold = each[0][1]
    return threshold, Guarantee(
        measure=asked.measure, at_least=asked.at_least, confidence=asked.confidence, needed=fewest_groups(asked.at_least, asked.confidence),
        groups=tuple(one.groups for one, _, _ in each), wrong=tuple(one.wrong for one, _, _ in each),
        other_groups=tuple(groups for _, _, (groups, _) in each), other_right=tuple(right for _, _, (_, right) in each),
        unit=unit_of(held), domains=tuple(sorted(held["domain"].unique())),
    )  # fmt: skip


def chosen_by(promise: Guarantee, ordinary: str) -> str:
    """The rule of the thresholds in words, as a package names it."""
    if all(wrong is None for wrong in promise.wrong):
        return ordinary
    kept = f"{promise.measure} >= {promise.at_least:g}, guaranteed with a confidence of {promise.confidence:g}"
    return kept if None not in promise.wrong else f"{kept} where that is reachable, else {ordinary}"
