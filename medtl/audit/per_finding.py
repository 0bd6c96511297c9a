"""Several findings per image: what is asked of the labels is asked of each finding by itself, as of a task of two classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl import findings
from medtl.audit.findings import Finding
from medtl.contracts import Task
from medtl.records import KEY

Check = Callable[[pd.DataFrame, Task, pd.DataFrame | None], list[Finding]]
"""(records, task, predictions or None) -> what there is to say about the labels."""


def of_each(check: Check, records: pd.DataFrame, task: Task, predictions: pd.DataFrame | None) -> list[Finding]:
    """What `check` says; where an image may have several findings, what it says of each, with the finding's name before it."""
    if task.kind == "single":
        return check(records, task, predictions)
    return [replace(found, title=f"{name}: {found.title}") for name in task.names for found in check(*_alone(records, name, predictions))]


def _alone(records: pd.DataFrame, name: str, predictions: pd.DataFrame | None) -> tuple[pd.DataFrame, Task, pd.DataFrame | None]:
    """One finding as a task of two classes; images of which it is not known have no label."""
    own, task = findings.alone(records, name)
    absent = task.names[0]
    if predictions is None:
        return own, task, None
    p = predictions[f"p_{name}"]
    return own, task, predictions[[*KEY, "view"]].assign(**{f"p_{absent}": 1 - p, f"p_{name}": p})


def contradict(one: pd.DataFrame, other: pd.DataFrame) -> NDArray[np.bool_]:
    """(N,) whether two images differ in their label, or in any finding that is known of both; columns as of records."""
    columns = findings.columns_of(one) or ["label"]
    first, second = one[columns].to_numpy(str), other[columns].to_numpy(str)
    return np.asarray(((first != second) & (first != "") & (second != "")).any(axis=1))
