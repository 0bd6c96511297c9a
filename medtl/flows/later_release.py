"""`medtl release`: labelled target patients that came after the training decide which candidate is the run's model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medtl import predictions
from medtl.adaptation import SOURCE_ONLY
from medtl.cohorts.splitting import external_records
from medtl.contracts import CALIBRATION, EXTERNAL, TRAIN, VALIDATION
from medtl.errors import GateRefusal, MedtlError, listed
from medtl.files import locked
from medtl.flows import release as releasing
from medtl.flows import report
from medtl.flows.manifest import read_manifest
from medtl.flows.release_file import FILE, read
from medtl.flows.run import Run, load_run
from medtl.imaging.cache import cache_dir
from medtl.imaging.store import Store, open_store
from medtl.model.seen import read_seen, truncated
from medtl.records import KEY
from medtl.terminal import Line


def release(
    run: Path | str, manifest: Path | str, column: Mapping[str, str] | None = None, map: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Judge the candidate that was put up at training on every labelled image of `manifest`; returns the new content of `release.json`.

    manifest: a CSV with `image`, `label` and `patient_id`, of patients that nothing has used. column, map: as of `medtl evaluate`.
    Raises GateRefusal (exit code 3) where an image or a patient taught a candidate, or has decided before; MedtlError where the run has no
    candidates or the manifest no labelled image.
    """
    opened, line = load_run(run), Line()
    before = read(opened.folder)
    if before is None:
        raise MedtlError(f"{opened.folder}: has no {FILE}; only a finished run with `adaptation` has candidates to release")
    experiment = opened.experiment
    assert experiment.adaptation != "none"
    given = read_manifest(Path(manifest), experiment.task, dict(column or {}), dict(map or {}))
    table = given.table.sort_values(KEY, ignore_index=True)
    store = open_store(table[KEY], given.root, experiment.image, cache_dir(), line.progress("images"))
    rows = external_records(table, store.measurements, given.plan)
    positions = np.flatnonzero((rows["split"] == EXTERNAL) & (rows["label"] != ""))
    if not len(positions):
        raise MedtlError(f"{manifest}: no readable row has a label of the model's classes; there is nothing to judge")
    asked = rows.iloc[positions]
    _refuse_used(opened, asked, store, positions)
    margin = experiment.adaptation.release.margin
    with locked(opened.folder):
        places = {name: each.folder for name, each in opened.candidates().items()}
        answers = releasing.judged(places, asked, store, positions, "auto", line)
        verdict = releasing.verdict_of(answers, before["candidate"], experiment.task, margin, before["veto"], "")
        content = {**before, **releasing.evidence(answers, experiment.task)}
        releasing.settle(opened.folder, content, verdict, margin, line)
    report.said(lambda: report.report(opened.folder), line, f"medtl report {opened.folder}")
    found = read(opened.folder)
    assert found is not None
    return found


def _refuse_used(run: Run, asked: pd.DataFrame, store: Store, positions: np.ndarray) -> None:
    """Evidence is of patients that taught no candidate, chose nothing, and have not decided before."""
    places = {name: each.folder for name, each in run.candidates().items()}
    seen = frozenset().union(*(read_seen(place / "model") or frozenset() for place in places.values()))
    images = [
        image
        for image, pixels in zip(asked["image"], store.measurements["pixel_hash"].iloc[positions], strict=True)
        if pixels and truncated(pixels) in seen
    ]
    rows = run.records()
    taught = (rows["split"] == TRAIN) | (rows["split"].isin([VALIDATION, CALIBRATION]) & (rows["label"] != ""))
    used = set(rows.loc[taught & (rows["patient_id"] != ""), "patient_id"])
    before = places[SOURCE_ONLY] / releasing.ANSWERS
    decided = set(predictions.read(before)["group_id"]) if before.is_file() else set()
    patients = asked["patient_id"].isin(used) | asked["group_id"].isin(decided)
    if images or patients.any():
        what = [f"{len(images)} images taught a candidate"] if images else []
        what += [f"{asked.loc[patients, 'group_id'].nunique()} patients taught a candidate or decided before"] if patients.any() else []
        named = listed(images or asked.loc[patients, "image"], most=3)
        raise GateRefusal(f"{' and '.join(what)} ({named}): a release needs patients that nothing has used; leave these out")
