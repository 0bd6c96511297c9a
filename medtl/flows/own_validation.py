"""A run's own validation images under stress: they were judged by the training, so no look is counted and no test image opened."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from medtl.contracts import VALIDATION
from medtl.files import locked
from medtl.flows.judging import Evaluation, unit_of, write_predictions
from medtl.flows.own_test import labelled_rows, store_of
from medtl.flows.run import Run, data_root_of
from medtl.flows.stress import examine, keep
from medtl.predictions import PLAIN
from medtl.report.judged import judged
from medtl.terminal import Line


def stress_validation(run: Run, data: Path | None, line: Line) -> Evaluation:
    """Join the views of the validation images to the run's predictions, in place of those of an earlier time; plain rows stay."""
    parts = run.folds() or [run]
    rows = labelled_rows(run, parts, VALIDATION)
    root = data_root_of(run, data)
    store = store_of(run, rows, root, line)
    models = [part.model() for part in parts]
    examined = examine(models, rows, store, np.arange(len(rows)), run.experiment, root, line)
    with locked(run.folder):
        before = run.predictions()
        stays = (before["split"] != VALIDATION) | (before["view"] == PLAIN)
        write_predictions(pd.concat([before[stays], *examined.views], ignore_index=True), run.folder / "predictions.csv")
        keep(examined, run.folder, VALIDATION)
    plain = judged(before, VALIDATION)
    metrics = run.metrics()["splits"][VALIDATION]
    return Evaluation(
        run.folder, VALIDATION, plain, metrics, run.experiment.task, unit_of(rows), None, max(len(parts), len(models[0].members))
    )
