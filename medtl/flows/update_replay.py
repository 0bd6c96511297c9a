"""The images that taught a model, as the run that it came from remembers them: nobody has to write a manifest of these."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from medtl import findings
from medtl.cohorts.grouping import TIED
from medtl.contracts import TRAIN, VALIDATION, Task
from medtl.errors import MedtlError, listed
from medtl.flows.manifest import Manifest, Outside
from medtl.flows.own_test import store_of
from medtl.flows.run import Run, data_root_of
from medtl.model.scope import FACTS
from medtl.records import KEY, SPELLING
from medtl.terminal import Line

_KINDS = ("patient", "lesion", "study")


def read_taught(run: Run, task: Task, data: Path | None, line: Line) -> Manifest:
    """Labelled images of the run's training and validation parts (of any of its folds), as `medtl.flows.manifest` reads a table of them.

    data: where they are now, else where they were at training. What was held out of training (`calibration`, `test`) is not among them.
    Raises MedtlError where the run tells other classes apart than `task`, and Mistakes where its files are not there or have changed.
    """
    own = run.experiment.task
    if (own.kind, own.names, own.learned, own.outputs) != (task.kind, task.names, task.learned, task.outputs):
        raise MedtlError(
            f"{run.folder}: teaches {listed(own.learned)}, and the model has learned {listed(task.learned)}; replay the run that it came "
            "from, or a table of images"
        )
    rows = pd.concat([part.records() for part in run.folds() or [run]], ignore_index=True)
    taught = rows["split"].isin([TRAIN, VALIDATION]) & (rows["label"] != "")
    rows = rows[taught].drop_duplicates(KEY).reset_index(drop=True)
    root = data_root_of(run, data)
    store_of(run, rows, root, line)  # the same files as then
    kept = [name for name in FACTS if name in rows.columns]
    spelled = [SPELLING] if SPELLING in rows.columns else []
    table = rows[[*KEY, "label", *findings.columns_of(rows), "patient_id", "domain", *spelled, *kept]].assign(given_split="")
    for kind in _KINDS[1:]:
        table[f"{kind}_id"] = rows["group_id"].where(rows["group_kind"] == kind, "")
    notes = [f"{len(rows):,} images that taught {run.name}", *_issuers(run)]
    return Manifest(table.assign(**{TIED: rows["group_id"]}), root, Outside(own, run.experiment.cohorts, tuple(kept)), notes)


def _issuers(run: Run) -> list[str]:
    named = sorted({cohort.issuer for cohort in run.experiment.cohorts if cohort.issuer})
    if not named:
        return []
    return [f"its patients are those of {listed(named)}: an id of a table, which names no issuer, does not tell that it is one of them"]


def tied_by_id(table: pd.DataFrame) -> pd.DataFrame:
    """Tables of manifests and of a run together: patients known again by their keyed ids, which are all that records hold of them."""
    return table.assign(**{f"{kind}_unit": table[f"{kind}_id"] for kind in _KINDS})
