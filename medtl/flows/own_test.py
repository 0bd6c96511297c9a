"""Open a run's own test split, once more than before, and say so.

Only here are test images shown to a model. The files must still be those of the records; the look is counted before any figure is known.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medtl.contracts import TEST
from medtl.errors import MedtlError, Mistakes, listed
from medtl.evaluation import metrics_file
from medtl.evaluation.answering import judge_split
from medtl.evaluation.units import By, Combine
from medtl.files import locked
from medtl.flows.by_unit import judge_units, unit_ids
from medtl.flows.judging import Evaluation, changed_files, judge, refuse_occupied, unit_of, write_predictions
from medtl.flows.looks import count_look
from medtl.flows.run import Run, data_root_of
from medtl.flows.stress import examine, keep
from medtl.imaging.cache import cache_dir
from medtl.imaging.store import Store, open_store
from medtl.model.package import refresh_metrics
from medtl.records import KEY
from medtl.terminal import Line


def evaluate_run(
    run: Run, out: Path | None, data: Path | None, line: Line, by: By | None = None, combine: Combine = "mean", stress: bool = False
) -> Evaluation:
    """Judge the run's model (or each fold's model on that fold) on the test images; write into the run, or into `out`.

    `by`, `combine`: see :mod:`medtl.flows.by_unit`. `stress`: under every stress view too (:mod:`medtl.flows.stress`).
    """
    if out is not None:
        refuse_occupied(out)
    parts = run.folds() or [run]
    rows = labelled_rows(run, parts)
    task = run.experiment.task
    if by is not None:
        for part in parts:
            unit_ids(part.records(), by, str(part.folder))  # what cannot be judged costs no look
    store = store_of(run, rows, data_root_of(run, data), line)
    models = [part.model() for part in parts]
    fingerprint = run.model().fingerprint if len(parts) > 1 else models[0].fingerprint
    looks = count_look(rows["sha256"], fingerprint, run.experiment.name)

    tables = []
    for part, model in enumerate(models):
        own = np.flatnonzero(rows["part"] == part)
        judged = rows.iloc[own]
        if len(models) > 1:
            judged = judged.assign(fold=str(part), member=str(part))
        tables.append(judge(model, judged, store, own, line.progress("test")))
    table = pd.concat(tables, ignore_index=True)
    threshold = models[0].threshold if len(models) == 1 else None
    metrics = judge_split(table.assign(member=""), task, threshold=threshold)  # each image is judged once: a member's row is the answer
    if by is not None:
        metrics["by_unit"] = judge_units(parts, tables, by, combine)
    folder, unit = out or run.folder, unit_of(rows)
    examined = examine(models, rows, store, np.arange(len(rows)), run.experiment, data_root_of(run, data), line) if stress else None
    with locked(folder):
        _write(
            run, folder, pd.concat([table, *(examined.views if examined else ())], ignore_index=True), metrics, unit, looks.by_this_model
        )
        keep(examined, folder, TEST)
    return Evaluation(folder, TEST, table, metrics, task, unit, looks, max(len(parts), len(models[0].members)))


def labelled_rows(run: Run, parts: list[Run], split: str = TEST) -> pd.DataFrame:
    """Labelled rows of all parts in a split, sorted by key, with the `part` that judges each; folds may share images of validation."""
    found = [part.records().assign(part=i) for i, part in enumerate(parts)]
    rows = pd.concat([table[(table["split"] == split) & (table["label"] != "")] for table in found], ignore_index=True)
    if rows.empty:
        raise MedtlError(
            f"{run.folder}: kept no labelled {split} images (split in its experiment.yaml); judge it on outside data with a manifest"
        )
    repeated = rows[rows.duplicated(KEY)]
    if len(repeated) and split == TEST:
        raise MedtlError(
            f"{run.folder}: {len(repeated)} images are tested in two folds: {listed(repeated['image'])}; its records.csv were changed"
        )
    return rows.sort_values(KEY, ignore_index=True)


def store_of(run: Run, rows: pd.DataFrame, root: Path, line: Line) -> Store:
    """The images of `rows`, whose bytes must be those that the records name."""
    store = open_store(rows[KEY], root, run.experiment.image, cache_dir(), line.progress("images"))
    changed = changed_files(rows, store.measurements)
    if changed:
        heading = f"{len(changed)} of {len(rows)} images in {root} are missing or not the files of {run.folder}/records.csv:"
        hint = "bring the original files back, or train again" + ("" if len(changed) < len(rows) else "; is this the right --data folder?")
        raise Mistakes(heading, [*changed[:20], *([f"… and {len(changed) - 20} more"] if len(changed) > 20 else []), hint])
    return store


def _write(run: Run, folder: Path, table: pd.DataFrame, metrics: dict[str, Any], unit: str, looks: int) -> None:
    """Tables and metrics; inside the run they join what is there, and the package's card learns the result."""
    inside = folder.resolve() == run.folder.resolve()
    before = run.predictions() if inside else None
    splits: dict[str, Any] = {}
    if inside:
        splits = run.metrics()["splits"]
    if before is not None:
        table = pd.concat([before[before["split"] != TEST], table], ignore_index=True)
    write_predictions(table, folder / "predictions.csv")
    metrics_file.write(folder / "metrics.json", {**splits, TEST: metrics}, unit, looks)
    if inside:
        refresh_metrics(folder / "model", metrics_file.read(folder / "metrics.json"))
