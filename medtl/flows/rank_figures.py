"""The scores of one candidate's features. Of findings: each score by itself on the images of which it is known, then their mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.evaluation.summary import summarize
from medtl.experiment.schema import Experiment
from medtl.flows.out_of_fold import out_of_fold
from medtl.flows.rank_questions import Question
from medtl.ranking.advice import Figure
from medtl.ranking.hscore import h_score
from medtl.ranking.knn import neighbours_votes
from medtl.ranking.leep import leep
from medtl.ranking.logme import logme

FEW_GROUPS = "fewer than two classes have five groups"
MEASURES = {"auroc": "auroc", "auprc": "auprc", "macro-f1": "macro_f1", "balanced-accuracy": "balanced_accuracy", "loss": "auroc"}
"""`transfer.monitor` → the figure that probe, neighbours and tuning are judged by."""
Figures = dict[str, Figure]


def figure(value: float | None, why_not: str = "") -> Figure:
    """One without an interval."""
    return {"value": None, "reason": why_not} if value is None else {"value": value, "low": None, "high": None, "reason": "no interval"}


def by_features(
    features: NDArray[np.float32],
    answers: NDArray[np.float64] | None,
    why_not: str,
    asked: Sequence[Question],
    groups: NDArray[np.int64],
    experiment: Experiment,
) -> tuple[Figures, dict[str, Figures]]:
    """Neighbours, LogME, LEEP and H-score of features (N, D) and the source's answers (N, Z) or why there are none; and of each finding."""
    watched = "auroc" if experiment.transfer.monitor == "loss" else experiment.transfer.monitor
    each = []
    for question in asked:
        own, targets, classes = features[question.places], question.targets, question.classes
        votes = neighbours_votes(own, targets, groups[question.places], classes)
        each.append(
            {
                "knn": question.judged(watched, votes),
                "logme": logme(own, targets, classes),
                "leep": leep(answers[question.places], targets, classes) if answers is not None else None,
                "h_score": h_score(own, targets),
            }
        )
    mean = {score: figure(_mean([found[score] for found in each]), why_not) for score in each[0]}
    of_findings = {
        question.finding: {score: figure(value, why_not) for score, value in found.items()}
        for question, found in zip(asked, each, strict=True)
        if question.finding
    }
    return mean, of_findings


def of_probe(
    features: NDArray[np.float32], positions: NDArray[np.int64], rows: pd.DataFrame, asked: Sequence[Question], experiment: Experiment
) -> tuple[Figure, dict[str, Figure], pd.DataFrame | None]:
    """The probe's score with its interval, that of each finding, its answers out of fold; features (N, D) of images at `positions`."""
    spread = np.full((len(rows), features.shape[1]), np.nan, np.float32)
    spread[positions] = features
    table = out_of_fold(rows, spread, experiment.task)
    if table is None:
        return figure(None, FEW_GROUPS), {}, None
    measure = MEASURES[experiment.transfer.monitor]
    entry = summarize(table, experiment.task)
    names = [question.finding for question in asked if question.finding]
    return headline_of(entry, measure), {name: _of_finding(entry["per_class"][name], measure) for name in names}, table


def headline_of(entry: Mapping[str, Any], measure: str) -> Figure:
    """Of an entry of metrics.json; which findings are left out of a mean is told once, for the whole ranking."""
    return {key: value for key, value in entry[measure].items() if key != "note"}


def _of_finding(own: Mapping[str, Any], measure: str) -> Figure:
    if measure == "balanced_accuracy":
        return figure((own["recall"]["value"] + own["specificity"]["value"]) / 2)
    found: Figure = own["f1" if measure == "macro_f1" else measure]
    return found


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
