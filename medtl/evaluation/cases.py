"""The predictions table as arrays: what every estimate is computed from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.contracts import Task
from medtl.errors import MedtlError, Mistakes, listed
from medtl.findings import from_words, without
from medtl.predictions import NO_ANSWER, PLAIN, UNKNOWN, classes_of, of_findings, probabilities
from medtl.records import KEY

UNREAD = -1


class _Images:
    """N images, each with its probabilities and its group."""

    probabilities: NDArray[np.float64]
    """(N, K), NaN rows for unread images."""
    groups: NDArray[np.int64]
    """(N,) 0 … G-1, in the order of the ids, so that the order of rows does not matter."""

    @property
    def read(self) -> NDArray[np.bool_]:
        """(N,) images that have probabilities."""
        return np.asarray(np.isfinite(self.probabilities).all(axis=1), dtype=bool)

    @property
    def group_count(self) -> int:
        """Groups that have images here."""
        return len(np.unique(self.groups))


@dataclass(frozen=True)
class Cases(_Images):
    """N images of known truth and K classes."""

    classes: tuple[str, ...]
    positive: int | None
    """Position of the positive class; None for more than two classes."""
    truth: NDArray[np.int64]
    """(N,) 0 … K-1."""
    predicted: NDArray[np.int64]
    """(N,) 0 … K-1, or :data:`UNREAD`."""
    probabilities: NDArray[np.float64]
    """(N, K), NaN rows for unread images."""
    groups: NDArray[np.int64]
    """(N,) 0 … G-1, in the order of the ids, so that the order of rows does not matter."""
    answered: int
    """Images that got an answer (not `no answer`)."""
    numbered: int
    """G. Of one finding among several, some groups may have no image of which it is known; they are drawn all the same, by all findings."""


def from_table(predictions: pd.DataFrame, task: Task) -> Cases:
    """The package's own answers (`member` empty) on plain images whose truth is known; all other rows are left out.

    A row without a `group_id` is a group of its own. Raises :class:`Mistakes` for other classes than the task's, an unknown
    truth or prediction, a repeated (image, frame), an answer without probabilities, or several findings per image.
    """
    if task.kind == "multi":
        raise MedtlError("this figure is made for one class per image; for several findings per image it is not there yet")
    table = _own_answers(predictions, task)
    position = {name: index for index, name in enumerate(task.names)}
    truth, predicted = table["truth"].map(position), table["predicted"].map({**position, "": UNREAD})
    p = probabilities(table)
    _check(table, truth, predicted, p, task)
    groups = _numbered(table)
    return Cases(
        classes=task.names,
        positive=task.positive_index,
        truth=np.asarray(truth, dtype=np.int64),
        predicted=np.asarray(predicted, dtype=np.int64),
        probabilities=p,
        groups=groups,
        answered=int((table["decision"] != NO_ANSWER).sum()),
        numbered=int(groups.max()) + 1 if len(groups) else 0,
    )


def questions(predictions: pd.DataFrame, task: Task) -> tuple[Cases | Findings, list[Cases]]:
    """The table as arrays, and what is asked of each image: which class it is; or of several findings, each by itself, sharing groups."""
    if task.kind == "multi":
        together = findings_from_table(predictions, task)
        return together, [together.one(index) for index in range(len(task.names))]
    cases = from_table(predictions, task)
    return cases, [cases]


def patients(asked: Iterable[Cases]) -> dict[str, int]:
    """Class → groups that have an image of it; of findings, of those without (`no edema`) and with each."""
    return {name: len(np.unique(cases.groups[cases.truth == k])) for cases in asked for k, name in enumerate(cases.classes)}


def each_member(predictions: pd.DataFrame) -> pd.DataFrame:
    """Rows of members as answers of their own: over folds an image of validation is judged by several models, each a case of its own
    within the image's group. Other tables stay as they are."""
    if not (predictions["member"] != "").any():
        return predictions
    return predictions.assign(member="", image=predictions["fold"] + ":" + predictions["image"])


@dataclass(frozen=True)
class Findings(_Images):
    """N images of which something is known and K findings, each by itself."""

    classes: tuple[str, ...]
    truth: NDArray[np.float64]
    """(N, K) 1 = present, 0 = absent, NaN = unknown."""
    predicted: NDArray[np.float64]
    """(N, K) 1, 0, or NaN for unread images."""
    probabilities: NDArray[np.float64]
    """(N, K), NaN rows for unread images."""
    groups: NDArray[np.int64]
    """(N,) 0 … G-1, in the order of the ids."""
    given: NDArray[np.bool_]
    """(N,) images that got an answer (not `no answer`)."""

    @property
    def answered(self) -> int:
        """How many these are."""
        return int(self.given.sum())

    def one(self, index: int) -> Cases:
        """One finding as a task of two classes, absent and present, over the images of which it is known."""
        known = np.isfinite(self.truth[:, index])
        called, p = self.predicted[known, index], self.probabilities[known, index]
        return Cases(
            classes=(without(self.classes[index]), self.classes[index]),
            positive=1,
            truth=self.truth[known, index].astype(np.int64),
            predicted=np.where(np.isnan(called), UNREAD, np.nan_to_num(called)).astype(np.int64),
            probabilities=np.stack([1 - p, p], axis=1),
            groups=self.groups[known],
            answered=int(self.given[known].sum()),
            numbered=int(self.groups.max()) + 1 if len(self.groups) else 0,
        )


def findings_from_table(predictions: pd.DataFrame, task: Task) -> Findings:
    """As :func:`from_table`, where an image may have several findings (`task.kind: multi`)."""
    table = _own_answers(predictions, task).sort_values(KEY)
    truth, predicted = _told(table, task, "truth", UNKNOWN), _told(table, task, "predicted", "")
    p = probabilities(table)
    _check(table, pd.Series(0, table.index), pd.Series(np.where(table["predicted"] == "", UNREAD, 0), table.index), p, task)
    return Findings(task.names, truth, predicted, p, _numbered(table), (table["decision"] != NO_ANSWER).to_numpy(bool))


def _told(table: pd.DataFrame, task: Task, column: str, unknown: str) -> NDArray[np.float64]:
    beside = table[unknown].tolist() if unknown else [""] * len(table)
    try:
        return from_words(table[column].tolist(), beside, task.names)
    except KeyError as name:
        raise MedtlError(f"predictions: column '{column}' holds {name}; findings: {listed(task.names)}, joined by '|', or none") from None


def _own_answers(predictions: pd.DataFrame, task: Task) -> pd.DataFrame:
    """The rows to be judged; raises MedtlError for other classes, or another kind of task."""
    given = classes_of(predictions)
    if tuple(given) != task.names:
        raise MedtlError(f"predictions: the table's classes are {listed(given)}; the task's: {listed(task.names)} (same order)")
    if of_findings(predictions) != (task.kind == "multi"):
        raise MedtlError(
            f"predictions: a table of a task of kind {task.kind} has {'a' if task.kind == 'multi' else 'no'} column '{UNKNOWN}'"
        )
    own = (predictions["member"] == "") & (predictions["view"] == PLAIN) & (predictions["truth"] != "")
    return predictions[own]


def _numbered(table: pd.DataFrame) -> NDArray[np.int64]:
    """Each row's group as its place among the sorted groups."""
    ids = [group or (image, frame) for group, image, frame in zip(table["group_id"], table["image"], table["frame"], strict=True)]
    place = {group: index for index, group in enumerate(sorted(set(ids), key=repr))}
    return np.array([place[group] for group in ids], dtype=np.int64)


def _check(table: pd.DataFrame, truth: pd.Series, predicted: pd.Series, p: NDArray[np.float64], task: Task) -> None:
    mistakes = []
    for column, found in (("truth", truth), ("predicted", predicted)):
        if found.isna().any():
            mistakes.append(
                f"column '{column}' holds {listed(sorted(table.loc[found.isna(), column].unique()))}; classes: {listed(task.names)}"
            )
    repeated = table[table.duplicated(["image", "frame"], keep=False)]
    if len(repeated):
        mistakes.append(f"{len(repeated)} rows repeat an (image, frame): {listed(repeated['image'].unique())}")
    unfounded = np.isfinite(p).all(axis=1) != (predicted != UNREAD).to_numpy()
    if unfounded.any():
        mistakes.append(f"probabilities and `predicted` must stand or lack together: {listed(table.loc[unfounded, 'image'])}")
    if mistakes:
        raise Mistakes("predictions: these rows cannot be evaluated:", mistakes)
