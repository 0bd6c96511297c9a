"""Findings together (`task.kind: multi`): which of the task's classes an image has, as numbers and in words.

Numbers: (N, K) float, 1 = has it, 0 = has it not, NaN = unknown. In words: the names of those present joined by `|`, `none` where there is
none of them, empty where nothing is known; beside it the names of those unknown, joined by `|`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from medtl.contracts import NONE, Task

Floats = NDArray[np.float64]
BETWEEN = "|"
PREFIX = "y_"


def columns(classes: Iterable[str]) -> list[str]:
    """The columns of a records table that hold 0, 1 or nothing for each class.

    >>> columns(["edema", "nodule"])
    ['y_edema', 'y_nodule']
    """
    return [PREFIX + name for name in classes]


def columns_of(table: pd.DataFrame) -> list[str]:
    """Those that a table has; none where its images are of one class each."""
    return [column for column in table.columns if column.startswith(PREFIX)]


def numbers(table: pd.DataFrame, classes: Sequence[str]) -> Floats:
    """(N, K) out of the columns of a records table."""
    cells: Floats = table[columns(classes)].replace("", "nan").to_numpy(str).astype(np.float64)
    return cells


def words(present: ArrayLike, classes: Sequence[str]) -> list[str]:
    """(N, K) numbers → what each image has, in words.

    >>> words([[1, 0], [1, 1], [0, 0], [0, np.nan], [np.nan, np.nan]], ["edema", "nodule"])
    ['edema', 'edema|nodule', 'none', 'none', '']
    """
    given = np.asarray(present, dtype=np.float64)
    found = [BETWEEN.join(name for name, value in zip(classes, row, strict=True) if value == 1) for row in given]
    return [text or ("" if np.isnan(row).all() else NONE) for text, row in zip(found, given, strict=True)]


def unknown_words(present: ArrayLike, classes: Sequence[str]) -> list[str]:
    """(N, K) numbers → what is not known of each image, in words; empty where all is.

    >>> unknown_words([[1, 0], [0, np.nan], [np.nan, np.nan]], ["edema", "nodule"])
    ['', 'nodule', 'edema|nodule']
    """
    given = np.asarray(present, dtype=np.float64)
    return [BETWEEN.join(name for name, value in zip(classes, row, strict=True) if np.isnan(value)) for row in given]


def from_words(present: Sequence[str], unknown: Sequence[str], classes: Sequence[str]) -> Floats:
    """The inverse of both: (N, K) numbers. Raises KeyError for a name that is no class.

    >>> from_words(["edema", "none", ""], ["", "nodule", "edema|nodule"], ["edema", "nodule"]).tolist()
    [[1.0, 0.0], [0.0, nan], [nan, nan]]
    """
    place = {name: index for index, name in enumerate(classes)}
    found = np.zeros((len(present), len(classes)))
    for row, (has, not_known) in enumerate(zip(present, unknown, strict=True)):
        if has == "":
            found[row] = np.nan
        elif has != NONE:
            found[row, [place[name] for name in has.split(BETWEEN)]] = 1
        if not_known:
            found[row, [place[name] for name in not_known.split(BETWEEN)]] = np.nan
    return found


def without(name: str) -> str:
    """The class of images that have a finding not.

    >>> without("edema")
    'no edema'
    """
    return f"no {name}"


def sides(records: pd.DataFrame, task: Task) -> dict[str, pd.Series[bool]]:
    """Class → (N,) whether an image is of it; of findings, whether it is known to have each not (`no edema`), and to have it."""
    if task.kind == "single":
        return {name: records["label"] == name for name in task.names}
    return {side: records[PREFIX + name] == value for name in task.names for side, value in ((without(name), "0"), (name, "1"))}


def alone(records: pd.DataFrame, name: str) -> tuple[pd.DataFrame, Task]:
    """One finding as a task of two classes, `no <name>` and `<name>`; images of which it is not known have no label."""
    absent = without(name)
    label = records[PREFIX + name].map({"1": name, "0": absent, "": ""})
    return records.drop(columns=columns_of(records)).assign(label=label), Task(classes={absent: (), name: ()})
