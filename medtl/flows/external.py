"""External validation: a packaged model on outside data, with the thresholds it came with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from medtl import records
from medtl.cohorts.splitting import external_records
from medtl.contracts import EXTERNAL
from medtl.errors import GateRefusal, MedtlError, listed
from medtl.evaluation import metrics_file
from medtl.evaluation.answering import judge_split
from medtl.files import locked, write_atomically
from medtl.flows import report
from medtl.flows.here_and_there import hold_against_its_own
from medtl.flows.judging import Evaluation, judge, refuse_occupied, unit_of, write_predictions
from medtl.flows.looks import count_look
from medtl.flows.manifest import SUBGROUPS, read_manifest
from medtl.flows.shift_truth import beside_the_truth
from medtl.flows.stress import examine, keep
from medtl.imaging.cache import cache_dir
from medtl.imaging.store import Store, open_store
from medtl.model.model import Model
from medtl.model.prevalence import metrics_of
from medtl.model.seen import read_seen, truncated
from medtl.records import KEY
from medtl.terminal import Line


class Seen(GateRefusal):
    """The model learned from these `images`, or was chosen by them."""

    def __init__(self, images: Sequence[str], sentence: str):
        self.images = list(images)
        super().__init__(sentence)


def evaluate_outside(
    package: Path,
    manifest: Path,
    column: Mapping[str, str],
    spellings: Mapping[str, str],
    out: Path | None,
    allow_seen: bool,
    line: Line,
    stress: bool = False,
) -> Evaluation:
    """Judge the model on every labelled image of the manifest; what cannot be read is counted as not answered.

    stress: under every stress view too (:mod:`medtl.flows.stress`).
    """
    model = Model.load(package)
    own = metrics_of(model.folder)  # now: a damaged one must not stop what a look has been counted for
    folder = out or Path("evaluations") / f"{model.package.name}-{datetime.now():%Y%m%d-%H%M%S}"
    refuse_occupied(folder)
    given = read_manifest(manifest, model.task, column, spellings, SUBGROUPS)
    for note in given.notes:
        line.keep(note)
    table = given.table.sort_values(KEY, ignore_index=True)
    store = open_store(table[KEY], given.root, model.image, cache_dir(), line.progress("images"))
    _refuse_seen(package, table, store, allow_seen, line)
    rows = external_records(table, store.measurements, given.plan)
    positions = np.flatnonzero(rows["label"] != "")
    if not len(positions):
        raise MedtlError(f"{manifest}: no row has a label of the model's classes; there is nothing to judge")
    judged = rows.iloc[positions].assign(split=EXTERNAL)
    looks = count_look(judged["sha256"], model.fingerprint, model.package.name)
    predictions = judge(model, judged, store, positions, line.progress("external"))
    metrics = judge_split(predictions, model.task, threshold=model.threshold)
    unit = unit_of(judged)
    examined = examine([model], judged, store, positions, None, given.root, line) if stress else None
    with locked(folder):
        write_atomically(folder / "records.csv", lambda path: records.write(rows, path))
        write_predictions(pd.concat([predictions, *(examined.views if examined else ())]), folder / "predictions.csv")
        keep(examined, folder, EXTERNAL)
        metrics_file.write(folder / "metrics.json", {EXTERNAL: metrics}, unit, looks.by_this_model)
        for sentence in beside_the_truth(model, judged, store, positions, metrics, folder, line):
            line.keep(sentence)
        hold_against_its_own(model.package, own, predictions, metrics, unit, folder)
    done = Evaluation(folder, EXTERNAL, predictions, metrics, model.task, unit, looks, len(model.members))
    again = "medtl evaluate MODEL MANIFEST.csv"
    report.said(
        lambda: report.report_outside(package, done, rows, store.measurements, given.root, again), line, f"{again}, into another --out"
    )
    return done


def _refuse_seen(package: Path, table: pd.DataFrame, store: Store, allow_seen: bool, line: Line) -> None:
    """A model judged on images it learned from shows its memory, not what it can do elsewhere."""
    seen = read_seen(package)
    if seen is None:
        line.keep("the package does not say which images it learned from; whether these are new to it is not known")
        return
    known = [
        image
        for image, pixels in zip(table["image"], store.measurements["pixel_hash"], strict=True)
        if pixels and truncated(pixels) in seen
    ]
    if not known:
        return
    sentence = f"{len(known)} of {len(table)} images are among those the model learned from or was chosen by: {listed(known)}"
    if not allow_seen:
        raise Seen(known, f"{sentence}; figures on them are no external validation. Leave them out of the manifest, or say --allow-seen")
    line.keep(f"WARNING: {sentence}. These figures are too good, and are no external validation.")
