"""A run, or an evaluation on outside data, as one side of a question: its judged images, its task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from medtl import predictions
from medtl.contracts import TEST, Task
from medtl.errors import MedtlError, listed
from medtl.flows.run import EXPERIMENT, load_run, model_folder
from medtl.model import format as package_format
from medtl.report.judged import judged


@dataclass(frozen=True)
class Side:
    """One run or evaluation."""

    folder: Path
    table: pd.DataFrame
    task: Task | None
    """None of an evaluation on outside data, which does not say."""
    trainings: int | None = None
    """How many stand behind its answers: folds, or members of an ensemble. None as for `task`."""
    over_folds: bool = False
    """Whether each image was judged by one of them, else by all together."""

    def judged(self, split: str) -> pd.DataFrame:
        """The judged images of one split; raises MedtlError where there is none."""
        if split == TEST and not (self.table["split"] == TEST).any():
            raise MedtlError(f"{self.folder}: its test images were not opened yet; open them first: medtl evaluate {self.folder}")
        try:
            return judged(self.table, split)
        except MedtlError as refusal:
            raise MedtlError(f"{self.folder}: {refusal}") from None


def side_of(folder: Path) -> Side:
    """Open a run, or a folder that `medtl evaluate MODEL MANIFEST` wrote."""
    if (folder / EXPERIMENT).is_file() or not (folder / "predictions.csv").is_file():
        run = load_run(folder)
        return Side(folder, run.predictions(), run.experiment.task, len(run.trainings()), bool(run.folds()))
    return Side(folder, predictions.read(folder / "predictions.csv"), None)


def task_of(sides: Sequence[Side], like: Path | None) -> Task:
    """The one task of all. like: a run or model, for evaluations on outside data, which do not say theirs."""
    told = {str(side.folder): side.task for side in sides if side.task is not None}
    if like is not None:
        told[str(like)] = package_format.read(model_folder(like)).task
    if not told:
        raise MedtlError("evaluations on outside data do not say their task; name one of the models, or its run, with --like")
    (where, task), *others = told.items()
    for elsewhere, other in others:
        if (other.names, other.positive, other.kind) != (task.names, task.positive, task.kind):
            raise MedtlError(f"{where} and {elsewhere} have different tasks ({listed(task.names)} and {listed(other.names)})")
    return task
