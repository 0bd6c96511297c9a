"""`medtl audit`: can results on these images be believed? Records, measurements, features, out-of-fold answers; then every check."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.audit import kept, page, remedy
from medtl.audit.audit import audit as check_all
from medtl.audit.kept import Audit
from medtl.backbones import BackboneSettings
from medtl.cohorts.joining import Plan, read_cohorts
from medtl.cohorts.splitting import external_records, make_records
from medtl.contracts import TEST, Task
from medtl.errors import MedtlError
from medtl.experiment.load import data_root, load_experiment
from medtl.experiment.schema import TrainerSettings
from medtl.files import locked
from medtl.flows.judging import refuse_occupied
from medtl.flows.manifest import read_unjudged
from medtl.flows.report_pictures import pictures_of
from medtl.imaging.cache import cache_dir
from medtl.imaging.settings import ImageSettings
from medtl.imaging.store import Store, open_store
from medtl.records import KEY
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
    subject = _of_config(Path(target), data, overrides) if Path(target).suffix.lower() in CONFIGS else None
    subject = subject or _of_manifest(Path(target), column or {}, spellings or {}, keep)
    folder = Path(out) if out is not None else Path("audits") / subject.name / f"{datetime.now():%Y%m%d-%H%M%S}"
    refuse_occupied(folder)
    line = Line()
    store = open_store(subject.table[KEY], subject.root, subject.image, cache_dir(), line.progress("images"))
    records = _records(subject, store)
    features, about_features = _features(subject, store, weights, line)
    line.show("looking at labels …")
    predictions, about_labels = _predictions(records, features, subject.task)
    line.show("looking for duplicates, shortcuts, confounders …")
    findings = check_all(_with_ids(records, subject.table), store.measurements, subject.task, features, predictions)
    looked = [*subject.notes, *_unread(store), about_features, about_labels]
    done = kept.summed_up(subject.name, records, subject.task.names, looked, findings)
    line.clear()
    with locked(folder):
        _write(done, records, subject, folder, line)
    return Audited(folder, done)


def _of_config(config: Path, data: Path | str | None, overrides: Sequence[str]) -> Subject:
    experiment = load_experiment(config, overrides)
    root = data_root(config, data)
    source = read_cohorts(experiment, root, every_class=False)
    table = source.table.sort_values(KEY, ignore_index=True)
    return Subject(
        experiment.name, experiment.task, table, root, experiment.image, experiment.backbone, experiment.trainer, experiment.seed,
        experiment, True, source.notes,
    )  # fmt: skip


def _of_manifest(file: Path, column: Mapping[str, str], spellings: Mapping[str, str], keep: Sequence[str]) -> Subject:
    given = read_unjudged(file, column, spellings, keep)
    table = given.table.sort_values(KEY, ignore_index=True)
    return Subject(
        file.stem, given.plan.task, table, given.root, ImageSettings(), BackboneSettings(), TrainerSettings(), 0,
        given.plan, given.plan.split.column is not None, given.notes,
    )  # fmt: skip


def _records(subject: Subject, store: Store) -> pd.DataFrame:
    """Row for row as the store; a split that leaks is as it is given, for that is what is to be found."""
    if subject.split:
        return make_records(subject.table, store.measurements, subject.plan, subject.root, as_given=True)
    return external_records(subject.table, store.measurements, subject.plan)


def _with_ids(records: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Records with the ids of studies and lesions, which stand only in groups otherwise."""
    return records.merge(table[[*KEY, "study_id", "lesion_id"]], on=KEY, how="left", validate="one_to_one")


def _features(subject: Subject, store: Store, weights: Path | str | None, line: Line) -> tuple[NDArray[np.float32] | None, str]:
    """(N, D) features of the frozen network, NaN rows for unread images; and a sentence about them."""
    without = "near duplicates are found by their perceptual hash alone, and no image is called out of family"
    if weights is None and subject.backbone.weights == "none":
        return None, f"No features: the config has no pretrained weights (give some with --weights); {without}."
    import torch

    from medtl.backbones.network import build_network
    from medtl.backbones.weights import open_weights
    from medtl.features import cached_features
    from medtl.training import machine

    settings = subject.backbone
    if weights is not None:
        settings = BackboneSettings(name=settings.name, weights=str(Path(weights).resolve()))
        settings = settings.model_copy(update={"name": open_weights(settings, subject.root).architecture or settings.name})
    trainer = machine.decide(subject.trainer)
    torch.set_num_threads(trainer.threads or 1)  # as training, whose features are then found in the cache
    try:
        network = build_network(settings, subject.image, subject.root, subject.seed)
    except MedtlError as refused:
        if weights is not None:
            raise
        return None, f"No features: {str(refused).splitlines()[0].rstrip('.:')}; {without}."
    network = network.to(device=trainer.device, memory_format=torch.channels_last)
    usable = np.flatnonzero(store.usable)
    features = np.full((len(store), network.dim), np.nan, np.float32)
    if len(usable):
        features[usable] = cached_features(
            network, store, usable, torch.device(trainer.device), cache_dir(), line.progress("features")
        ).numpy()
    return features, f"Features of {settings.name} ({Path(settings.weights).name}), {network.dim:,} for each image."


def _predictions(records: pd.DataFrame, features: NDArray[np.float32] | None, task: Task) -> tuple[pd.DataFrame | None, str]:
    """Answers out of fold, and a sentence about them."""
    if features is None:
        return None, "No answers of a model: labels are not compared with what the images show."
    from medtl.flows.out_of_fold import out_of_fold

    found = out_of_fold(records, features, task)
    if found is None:
        return None, "No answers of a model: fewer than two classes have five groups; labels are not compared with what the images show."
    tested = " Test images take no part: no model's answer on them is looked at before `medtl evaluate`."
    sentence = (
        f"Labels of {len(found):,} images compared with the answers of a linear probe on features, each by groups it was not fitted to."
    )
    return found, sentence + (tested if (records["split"] == TEST).any() else "")


def _unread(store: Store) -> Iterator[str]:
    broken = int((~store.usable).sum())
    if broken:
        yield f"{broken:,} of {len(store):,} images could not be read."


def _write(done: Audit, records: pd.DataFrame, subject: Subject, folder: Path, line: Line) -> None:
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
