"""The predictions table as arrays: what every estimate is computed from."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.contracts import Task
from medtl.errors import MedtlError, Mistakes, listed
from medtl.predictions import NO_ANSWER, PLAIN, classes_of, probabilities

UNREAD = -1


@dataclass(frozen=True)
class Cases:
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

    @property
    def read(self) -> NDArray[np.bool_]:
        """(N,) images that have probabilities."""
        return np.asarray(np.isfinite(self.probabilities).all(axis=1), dtype=bool)

    @property
    def group_count(self) -> int:
        return int(self.groups.max()) + 1 if len(self.groups) else 0


def from_table(predictions: pd.DataFrame, task: Task) -> Cases:
    """The package's own answers (`member` empty) on plain images whose truth is known; all other rows are left out.

    A row without a `group_id` is a group of its own. Raises :class:`Mistakes` for other classes than the task's, an unknown
    truth or prediction, a repeated (image, frame), or an answer without probabilities.
    """
    given = classes_of(predictions)
    if tuple(given) != task.names:
        raise MedtlError(f"predictions: the table's classes are {listed(given)}; the task's: {listed(task.names)} (same order)")
    own = (predictions["member"] == "") & (predictions["view"] == PLAIN) & (predictions["truth"] != "")
    table = predictions[own]
    position = {name: index for index, name in enumerate(task.names)}
    truth, predicted = table["truth"].map(position), table["predicted"].map({**position, "": UNREAD})
    p = probabilities(table)
    _check(table, truth, predicted, p, task)
    ids = [group or (image, frame) for group, image, frame in zip(table["group_id"], table["image"], table["frame"], strict=True)]
    return Cases(
        classes=task.names,
        positive=task.positive_index,
        truth=np.asarray(truth, dtype=np.int64),
        predicted=np.asarray(predicted, dtype=np.int64),
        probabilities=p,
        groups=_numbered(ids),
        answered=int((table["decision"] != NO_ANSWER).sum()),
    )


def _numbered(ids: list[Hashable]) -> NDArray[np.int64]:
    """Each id's place among the sorted ids."""
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
