"""What a model's answers show where it is used, question by question; and its answers with every probability fitted by other patients."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.contracts import Task
from medtl.evaluation.cases import UNREAD, Cases, findings_from_table, from_table
from medtl.evaluation.recalibrating import ALL
from medtl.findings import from_words, words
from medtl.flows.recalibrate_candidate import Chosen, Mending
from medtl.predictions import NO_ANSWER


def questions(table: pd.DataFrame, task: Task) -> dict[str, Cases]:
    """The positive class of two, :data:`ALL` of several, or each finding, with the images of which the truth is known.

    `table`: predictions, sorted by key, all of known truth.
    """
    if task.kind == "multi":
        told = findings_from_table(table, task)
        return {name: told.one(index) for index, name in enumerate(task.names)}
    index = task.positive_index
    return {ALL if index is None else task.names[index]: from_table(table, task)}


def cross_fitted(answers: pd.DataFrame, mending: Mending, chosen: Mapping[str, Chosen | str], task: Task) -> pd.DataFrame:
    """The `answers` of the re-calibrated model (predictions, sorted by key), but each probability, and each answer by a threshold chosen
    anew, by what other patients fitted: as it will do on patients to come."""
    table = answers.copy()
    known = _known(table, task)
    for name, mended in mending.items():
        if not mended.shown or mended.crossed is None:
            continue
        p = mended.crossed.probabilities
        if task.kind == "multi":
            table.loc[known[:, task.names.index(name)], f"p_{name}"] = p[:, 1]
        else:
            table[[f"p_{each}" for each in task.names]] = p
    anew = {name: each.cases for name, each in chosen.items() if isinstance(each, Chosen)}
    if anew:
        table["predicted"] = _called(table, anew, known, task)
        table["decision"] = np.where(table["reason"] == "", table["predicted"], NO_ANSWER).astype(object)
    return table


def _known(table: pd.DataFrame, task: Task) -> NDArray[np.bool_]:
    """(N, K) of which finding of which image the truth is known; of one class per image always."""
    if task.kind == "single":
        return np.ones((len(table), len(task.names)), dtype=bool)
    return np.asarray(np.isfinite(from_words(table["truth"].tolist(), table["unknown"].tolist(), task.names)), dtype=bool)


def _called(table: pd.DataFrame, anew: Mapping[str, Cases], known: NDArray[np.bool_], task: Task) -> NDArray[np.object_]:
    if task.kind == "single":
        (cases,) = anew.values()
        return np.where(cases.predicted == UNREAD, "", np.asarray(task.names, object)[cases.predicted]).astype(object)
    called = from_words(table["predicted"].tolist(), [""] * len(table), task.names)
    for name, cases in anew.items():
        k = task.names.index(name)
        called[known[:, k], k] = np.where(cases.predicted == UNREAD, np.nan, cases.predicted)
    return np.asarray(words(called, task.names), object)
