"""From a model and stored images to predictions: what both kinds of evaluation share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl import findings, predictions
from medtl.contracts import Task
from medtl.decisions.precedence import Reasons
from medtl.errors import MedtlError
from medtl.files import write_atomically
from medtl.flows.looks import Looks
from medtl.model.scope import beside_of
from medtl.records import COLUMNS, KEY

if TYPE_CHECKING:
    from medtl.imaging.store import Store
    from medtl.model.model import Model

_AT_ONCE = 256
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Evaluation:
    """What was found: `predictions` of one split, its `metrics` (an entry of metrics.json), and the folder of both."""

    folder: Path
    split: str
    predictions: pd.DataFrame
    metrics: dict[str, Any]
    task: Task
    unit: str
    looks: Looks | None = None
    trainings: int = 1
    """Of how many the answers are: folds, or members of a package."""


def judge(model: Model, rows: pd.DataFrame, store: Store, positions: NDArray[np.intp], progress: Progress | None = None) -> pd.DataFrame:
    """Predictions for records `rows`, whose images stand at `positions` of the store; some get no answer, with the reason."""
    logits, scores = looked(model, store, positions, progress)
    return model.answer(answered_rows(rows), logits, reasons_of(model, rows, store, positions, scores))


def reasons_of(model: Model, rows: pd.DataFrame, store: Store, positions: NDArray[np.intp], scores: NDArray[np.float64]) -> Reasons:
    """What speaks against answering these images: file, header or records, looks (`scores` of :func:`looked`), quality."""
    measured = store.measurements.iloc[positions].assign(age=store.ages[positions])
    reasons = Reasons.none(len(positions))
    for place, (row, beside) in enumerate(zip(measured.to_dict("records"), beside_of(measured, rows), strict=True)):
        model.note(reasons, place, {str(name): value for name, value in row.items()}, beside)
    model.note_looks(reasons, range(len(positions)), scores)
    return reasons


def logits_of(model: Model, store: Store, positions: NDArray[np.intp], progress: Progress | None = None) -> NDArray[np.float32]:
    """(M, N, K) raw logits of the images at `positions` of the store, NaN where an image was not read."""
    return looked(model, store, positions, progress)[0]


def looked(
    model: Model, store: Store, positions: NDArray[np.intp], progress: Progress | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """As :func:`logits_of`, and (N,) how unlike the training images, NaN where there is no gate or the image was not read."""
    logits = np.full((len(model.members), len(positions), len(model.task.names)), np.nan, np.float32)
    scores = np.full(len(positions), np.nan)
    usable = np.flatnonzero(np.asarray(store.usable)[positions])
    for start in range(0, len(usable), _AT_ONCE):
        part = usable[start : start + _AT_ONCE]
        logits[:, part], scores[part] = model.look(store.read(positions[part]))
        if progress is not None:
            progress(start + len(part), len(usable))
    return logits, scores


def answered_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Records as a predictions table takes them; without the kept columns, for `view` (PA, AP) there is not the `view` of predictions."""
    keys = rows[[column for column in (*COLUMNS, "member") if column in rows.columns]].rename(columns={"label": "truth"})
    classes = [column.removeprefix(findings.PREFIX) for column in findings.columns_of(rows)]
    return keys.assign(unknown=findings.unknown_words(findings.numbers(rows, classes), classes)) if classes else keys


def unit_of(rows: pd.DataFrame) -> str:
    """The statistical unit to be named beside the figures: the groups' kind, `image` where no row has a better one."""
    kinds = rows["group_kind"].unique()
    better = [kind for kind in ("patient", "lesion", "study") if kind in kinds]
    return better[0] if better else "image"


def write_predictions(table: pd.DataFrame, path: Path) -> None:
    """Write a predictions table whole or not at all."""
    write_atomically(path, lambda temporary: predictions.write(table, temporary))


def changed_files(rows: pd.DataFrame, measurements: pd.DataFrame) -> list[str]:
    """Images whose bytes are no longer those of the records (or are gone), in order. Both tables row for row."""
    different = rows["sha256"].to_numpy() != measurements["sha256"].to_numpy()
    return [f"{row.image}" + (f" (row {row.frame})" if row.frame else "") for row in rows[different][KEY].itertuples()]


def refuse_occupied(folder: Path) -> None:
    """Results are never written over others. Raises MedtlError where `folder` holds anything."""
    if folder.exists() and (not folder.is_dir() or any(name.name != ".lock" for name in folder.iterdir())):
        raise MedtlError(f"--out {folder}: is not empty, and results are never overwritten; choose another folder")
