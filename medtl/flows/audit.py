"""`medtl audit`: can results on these images be believed? Records, measurements, features, out-of-fold answers; then every check."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import pandas as pd

from medtl.audit import kept, remedy
from medtl.audit.audit import audit as check_all
from medtl.audit.findings import in_order
from medtl.audit.kept import Audit
from medtl.backbones import BackboneSettings
from medtl.cohorts.joining import Plan, read_cohorts
from medtl.cohorts.splitting import external_records, make_records
from medtl.contracts import Task
from medtl.errors import MedtlError
from medtl.experiment.load import data_root, load_experiment
from medtl.experiment.schema import Scope, TrainerSettings
from medtl.files import locked
from medtl.flows.agreements import remembered
from medtl.flows.audit_evidence import answers, features
from medtl.flows.judging import refuse_occupied
from medtl.flows.manifest import read_unjudged
from medtl.flows.near_duplicates import tie_near_duplicates
from medtl.flows.report_pictures import pictures_of
from medtl.flows.run import Run
from medtl.imaging.cache import cache_dir
from medtl.imaging.settings import ImageSettings
from medtl.imaging.store import Store, open_store
from medtl.model.scope import set_aside
from medtl.predictions import OUT_OF_SCOPE
from medtl.records import KEY
from medtl.shift.audited import domain_shifts
from medtl.terminal import Line

PICTURE = 208
"""Pixels: longer side of the pictures on the page."""
CONFIGS = (".yaml", ".yml")


@dataclass(frozen=True)
class Subject:
    """What is audited, and how its images are read."""

    name: str
    task: Task
    table: pd.DataFrame
    """Of `read_cohorts`, sorted by key."""
    root: Path
    image: ImageSettings
    backbone: BackboneSettings
    trainer: TrainerSettings
    seed: int
    scope: Scope
    plan: Plan
    split: bool
    """Whether it says who is trained on; outside data does not."""
    notes: Sequence[str]


@dataclass(frozen=True)
class Audited:
    """The folder of an audit, and what it found."""

    folder: Path
    audit: Audit


def audit(
    target: Path | str,
    data: Path | str | None = None,
    weights: Path | str | None = None,
    overrides: Sequence[str] = (),
    column: Mapping[str, str] | None = None,
    spellings: Mapping[str, str] | None = None,
    keep: Sequence[str] = (),
    out: Path | str | None = None,
) -> Audited:
    """Audit the images of a config (`.yaml`) or of a manifest (a table with `image` and `label`), and write page, JSON, tables and remedy.

    data: a config's data root. weights: pretrained weights for the features, in place of the config's. column, spellings, keep: of a
    manifest, what its columns and labels are called, and further columns to be looked at. out: a new folder, default
    `audits/<name>/<time>`. Raises MedtlError where the images or tables cannot be read; what is found raises nothing.
    """
    target = Path(target)
    if target.is_dir():
        raise MedtlError(f"{target}: is a folder; give a config (.yaml; `medtl init {target}` writes one) or a table of images and labels")
    if target.suffix.lower() in CONFIGS:
        subject = _of_config(target, data, overrides)
    else:
        subject = _of_manifest(target, column or {}, spellings or {}, keep)
    folder = Path(out) if out is not None else Path("audits") / subject.name / f"{datetime.now():%Y%m%d-%H%M%S}"
    refuse_occupied(folder)
    line = Line()
    store = open_store(subject.table[KEY], subject.root, subject.image, cache_dir(), line.progress("images"))
    set_aside(store, subject.scope, subject.table)
    table, tied = tie_near_duplicates(subject.table, store, subject.plan, line)
    subject = replace(subject, table=table, notes=[*subject.notes, *tied])
    records = _records(subject, store)
    found, about_features = features(store, subject.backbone, subject.image, subject.trainer, subject.root, subject.seed, line, weights)
    line.show("looking at labels …")
    predictions, about_labels = answers(records, found, subject.task)
    line.show("looking for duplicates, shortcuts, confounders …")
    known = _with_ids(records, subject.table)
    with remembered(store) as comparisons:
        findings = check_all(known, store.measurements, subject.task, found, predictions, store.read, comparisons)
    findings = in_order([*findings, *domain_shifts(records, store.measurements, found)])
    looked = [*subject.notes, *_unread(store), about_features, about_labels]
    done = kept.summed_up(subject.name, records, subject.task.names, looked, findings)
    line.clear()
    with locked(folder):
        _write(done, records, subject, folder, line)
    return Audited(folder, done)


def audit_run(run: Run, store: Store, root: Path, line: Line) -> Audit:
    """Audit what a run was trained on, as a part of its report, and write `audit.json` and `audit/*.csv` into its folder.

    Goes by the features that its probe has computed anyway, and by the run's own answers on validation (over folds: on all images).
    """
    experiment, records = run.experiment, run.records()
    found, about = None, f"No features, for {experiment.transfer.strategy} computes none."
    if experiment.transfer.probed:
        found, about = features(store, experiment.backbone, experiment.image, experiment.trainer, root, experiment.seed, line)
    judged = run.predictions()
    with remembered(store) as comparisons:
        findings = check_all(records, store.measurements, experiment.task, found, judged, store.read, comparisons)
    findings = in_order([*findings, *domain_shifts(records, store.measurements, found)])
    compared = len(judged[KEY].drop_duplicates())
    told = f"The labels of {compared:,} images are compared with the answers of models that had not learned from them."
    done = kept.summed_up(experiment.name, records, experiment.task.names, [*_unread(store), about, told], findings)
    kept.write(done, run.folder)
    return done


def _of_config(config: Path, data: Path | str | None, overrides: Sequence[str]) -> Subject:
    experiment = load_experiment(config, overrides)
    root = data_root(config, data)
    source = read_cohorts(experiment, root, every_class=False)
    table = source.table.sort_values(KEY, ignore_index=True)
    return Subject(
        experiment.name, experiment.task, table, root, experiment.image, experiment.backbone, experiment.trainer, experiment.seed,
        experiment.scope, experiment, True, source.notes,
    )  # fmt: skip


def _of_manifest(file: Path, column: Mapping[str, str], spellings: Mapping[str, str], keep: Sequence[str]) -> Subject:
    given = read_unjudged(file, column, spellings, keep)
    table = given.table.sort_values(KEY, ignore_index=True)
    return Subject(
        file.stem, given.plan.task, table, given.root, ImageSettings(), BackboneSettings(weights="none"), TrainerSettings(), 0,
        Scope(), given.plan, given.plan.split.column is not None, given.notes,
    )  # fmt: skip


def _records(subject: Subject, store: Store) -> pd.DataFrame:
    """Row for row as the store; a split that leaks is as it is given, for that is what is to be found."""
    if subject.split:
        return make_records(subject.table, store.measurements, subject.plan, subject.root, as_given=True)
    return external_records(subject.table, store.measurements, subject.plan)


def _with_ids(records: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Records with the ids of studies and lesions, which stand only in groups otherwise."""
    return records.merge(table[[*KEY, "study_id", "lesion_id"]], on=KEY, how="left", validate="one_to_one")


def _unread(store: Store) -> Iterator[str]:
    """What was left aside, broken files and readable images out of scope apart."""
    outside = int((store.measurements["quarantine"] == OUT_OF_SCOPE).sum())
    broken = int((~store.usable).sum()) - outside
    if broken:
        yield f"{broken:,} of {len(store):,} images could not be read."
    if outside:
        yield f"{outside:,} of {len(store):,} images are outside the stated scope and were left aside."


def _write(done: Audit, records: pd.DataFrame, subject: Subject, folder: Path, line: Line) -> None:
    from medtl.audit import page

    line.show("pictures …")
    pictures = pictures_of(page.shown_images(done.findings, page.PAGE), records, subject.image, subject.root, PICTURE)
    line.clear()
    kept.write(done, folder)
    settings = [f"{setting}={_below(subject.root, file)}" for setting, file in remedy.write(done.findings, folder)] if subject.split else []
    path = page.write_page(done, records, pictures, settings, folder)
    for finding in done.findings:
        if finding.severity != "note":
            line.keep(f"{finding.severity:8} {finding.title} [{finding.code}]")
    line.keep(f"{page.summary(done)}\naudit: {path}")
    if settings:
        line.keep("remedy: look through these tables, then train with " + " ".join(f"--set {setting}" for setting in settings))


def _below(root: Path, file: Path) -> str:
    """As a config names it: relative to the data root where it lies below it, else absolute."""
    absolute = os.path.abspath(file)
    relative = os.path.relpath(absolute, os.path.abspath(root))
    return absolute if relative.startswith("..") else Path(relative).as_posix()
