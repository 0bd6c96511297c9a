"""`medtl check`: everything that training would meet, before it: settings, images, splits, device, cost, the first batch."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from medtl import findings, measurements, records
from medtl.batches import Part
from medtl.cohorts.joining import Source, read_cohorts
from medtl.cohorts.splitting import fold_records, make_records, split_notes
from medtl.contracts import EXCLUDED, SPLITS, TRAIN, VALIDATION
from medtl.errors import MedtlError, listed
from medtl.experiment.load import data_root, load_experiment
from medtl.experiment.overrides import weights_override
from medtl.experiment.schema import Experiment
from medtl.flows.contact_sheet import write_contact_sheet
from medtl.flows.guarantee import foreseen
from medtl.flows.leaks import refuse_leaking
from medtl.flows.near_duplicates import tie_near_duplicates
from medtl.flows.quarantine import refuse_broken
from medtl.flows.rehearsal import GIGABYTE, Cost, Rehearsal, cost, methods_of, rehearse, try_rates
from medtl.flows.rule import refuse_too_few
from medtl.imaging.cache import cache_dir
from medtl.imaging.store import Store, open_store
from medtl.model.scope import set_aside
from medtl.terminal import Line
from medtl.training import machine
from medtl.training.fit import parts_of
from medtl.training.rate_range import RateRange

SAMPLE = 64
"""Images that are decoded to learn how long all of them would take; a batch more where batches are larger."""
PATIENCE = 60.0
"""Seconds of decoding up to which all images are read, so that the answer is exact."""


@dataclass(frozen=True)
class Check:
    """What was found; `str()` is what the command prints."""

    experiment: Experiment
    records: pd.DataFrame
    """Of all images; with k folds, those of the first fold."""
    exact: bool
    """Whether all images were read; otherwise identical images in several files, leaks and unreadable images are not known yet."""
    quarantined: pd.DataFrame
    decode_minutes: float
    """Still to come."""
    notes: list[str]
    rehearsal: Rehearsal
    cost: Cost
    rates: RateRange | None
    """Of the learning-rate range test, where that was asked for."""

    def __str__(self) -> str:
        return "\n".join([*_settings_said(self), *_images_said(self), *_machine_said(self), *_batch_said(self), *_rates_said(self)])


def check(
    config: Path | str,
    data: Path | str | None = None,
    weights: Path | str | None = None,
    overrides: Sequence[str] = (),
    out: Path | str | None = None,
    rates: Path | str | None = None,
) -> Check:
    """Look at what `config` asks for. Arguments as of :func:`medtl.flows.train.train`, but `out`: a PNG for the first batch, and `rates`:
    a PNG for the learning-rate range test, which takes a hundred steps.

    Raises every MedtlError that training would raise before its first step.
    """
    if weights is not None:
        overrides = [*overrides, weights_override(weights)]
    if out is not None and Path(out).suffix.lower() != ".png":
        raise MedtlError(f"--out {out}: the first batch is written as a picture; give a name that ends in .png")
    if rates is not None and Path(rates).suffix.lower() != ".png":
        raise MedtlError(f"--rates {rates}: the test is written as a picture; give a name that ends in .png")
    experiment = load_experiment(Path(config), overrides)
    root = data_root(Path(config), data)
    trainer = machine.decide(experiment.trainer)
    torch.set_num_threads(trainer.threads or 1)
    experiment = experiment.model_copy(update={"trainer": trainer})
    line = Line()
    source = read_cohorts(experiment, root)
    source.table = source.table.sort_values(records.KEY, ignore_index=True)
    looked = _look(source, experiment, root, line)
    refuse_too_few(looked.rows, experiment)
    rows = looked.rows if experiment.split.fits is None else fold_records(looked.rows, 0, experiment.split, experiment.seed)
    if rates is not None and not experiment.transfer.tuned:
        raise MedtlError("--rates: a linear probe has no learning rate; choose another transfer.strategy")
    line.show("a few training steps …")
    part = _training_part(rows, looked, experiment)
    rehearsed = rehearse(experiment, looked.store, part, root)
    ranged = try_rates(experiment, looked.store, part, root, Path(rates), line) if rates is not None else None
    if out is not None:
        names, targets = experiment.task.learned, rehearsed.targets
        captions = findings.words(targets, names) if experiment.task.kind == "multi" else [names[target] for target in targets]
        write_contact_sheet(rehearsed.images, captions, Path(out))
    counts = rows["split"].value_counts()
    spent = cost(experiment, rehearsed, int(counts.get(TRAIN, 0)), int(counts.get(VALIDATION, 0)), len(rows))
    broken = looked.store.measurements[~looked.store.usable]
    notes = [*source.notes, *looked.notes, *split_notes(rows, experiment.task), *foreseen(looked.rows, experiment)]
    line.clear()
    return Check(experiment, rows, looked.exact, broken, looked.decode_minutes, notes, rehearsed, spent, ranged)


@dataclass(frozen=True)
class _Looked:
    rows: pd.DataFrame
    store: Store
    places: dict[tuple[str, int], int]
    """(image, frame) → position in the store, which may hold a sample only."""
    exact: bool
    decode_minutes: float
    notes: list[str]


def _look(source: Source, experiment: Experiment, root: Path, line: Line) -> _Looked:
    """Decode a sample; then all images, if that is soon done, else take the unread ones for readable and different."""
    keys = source.table[records.KEY]
    sample = keys.iloc[np.unique(np.linspace(0, len(keys) - 1, max(SAMPLE, 2 * experiment.transfer.batch)).astype(int))]
    open_store(sample.head(1), root, experiment.image, cache_dir())  # brings the workers up, which takes a second or two, once
    started = time.monotonic()
    store = open_store(sample, root, experiment.image, cache_dir(), line.progress("images, a sample"))
    decoded, timed = store.decoded, len(sample)
    if not decoded:  # known from an earlier look; whether the others are, some of them tell
        started, others = time.monotonic(), keys.sample(min(SAMPLE, len(keys)))
        decoded = open_store(others, root, experiment.image, cache_dir(), line.progress("images, a sample")).decoded
        timed = len(others)
    left = (time.monotonic() - started) / max(1, timed) * (len(keys) - len(sample))
    exact = decoded == 0 or left <= PATIENCE
    if exact:
        store, left = open_store(keys, root, experiment.image, cache_dir(), line.progress("images")), 0.0
    set_aside(store, experiment.scope, source.table)
    measured = store.measurements
    if exact:
        refuse_broken(source.table, store, experiment)
    unread = keys.merge(measured[records.KEY], how="left", indicator=True).query("_merge == 'left_only'")[records.KEY]
    assumed = measurements.table([_taken_for_usable(image, int(frame)) for image, frame in unread.to_numpy()])
    table, tied = tie_near_duplicates(source.table, store, experiment, line) if exact else (source.table, [])
    rows = make_records(table, pd.concat([measured, assumed], ignore_index=True) if len(assumed) else measured, experiment, root)
    if exact:
        refuse_leaking(experiment, rows, source.table, store, line)
    places = {(image, int(frame)): place for place, (image, frame) in enumerate(measured[records.KEY].to_numpy())}
    return _Looked(rows, store, places, exact, left / 60, tied)


def _taken_for_usable(image: str, frame: int) -> dict[str, object]:
    """A measurement of an image not read yet. Its hash is only of its name: with folds, validation is drawn from the hashes."""
    return {**measurements.row({"sha256": hashlib.sha256(f"{image}#{frame}".encode()).hexdigest()}), "image": image, "frame": frame}


def _training_part(rows: pd.DataFrame, looked: _Looked, experiment: Experiment) -> Part:
    """The training images that the store holds; a sample in which a class is missing stands for all the same."""
    part = parts_of(rows, experiment)[TRAIN]
    places = np.array([looked.places.get((image, int(frame)), -1) for image, frame in rows[records.KEY].to_numpy()[part.positions]])
    held = (places >= 0) & looked.store.usable[places]
    if held.sum() < 2:
        raise MedtlError("none of the sampled training images can be read; `medtl train` would stop: look at the paths and --data")
    return Part(places[held], part.targets[held])


def _settings_said(found: Check) -> list[str]:
    experiment = found.experiment
    backbone, transfer = experiment.backbone, experiment.transfer
    network = f"{backbone.name} (weights: {Path(backbone.weights).name})"
    plan = f"{transfer.strategy}, {transfer.epochs} epochs, batches of {transfer.batch}"
    said = [f"settings     right: {experiment.name}; {len(experiment.task.names)} classes, {network}, {plan}"]
    methods, target = methods_of(experiment), "" if experiment.adaptation == "none" else experiment.adaptation.target
    return [*said, f"adaptation   to '{target.domain}': source-only, {', '.join(methods)}, each a training"] if target else said


def _images_said(found: Check) -> list[str]:
    rows = found.records
    groups = rows["group_id"].nunique()
    kinds = listed(rows["group_kind"].unique())
    texts = [f"images       {len(rows):,} images of {groups:,} groups (by {kinds})"]
    used = rows[rows["label"] != ""]
    own = findings.columns_of(rows)
    if own:
        used = used[["split", *own]].melt("split", own, "label").query("value == '1'")
        used["label"] = used["label"].str.removeprefix(findings.PREFIX)
    table = pd.crosstab(used["label"], used["split"])
    table = table.reindex(index=found.experiment.task.names, columns=[split for split in SPLITS if split in table.columns], fill_value=0)
    texts += [f"             {text}" for text in table.rename_axis(index=None, columns="class").to_string().splitlines()]
    if found.experiment.split.fits:
        texts.append(f"             (the first of {found.experiment.split.fits} folds)")
    unlabelled = int(((rows["label"] == "") & (rows["split"] == EXCLUDED)).sum())
    if unlabelled:
        texts.append(f"             {unlabelled:,} without a label are {EXCLUDED}")
    texts += [f"             {note}" for note in found.notes]
    looked = "" if found.exact else " of the sample that was read; training reads all, and finds identical images and leaks then"
    for code, reason in found.quarantined.groupby("quarantine")["reason"].agg(["size", "first"]).iterrows():
        texts.append(f"quarantine   {reason['size']:,}{looked}: {reason['first']} [{code}]")
    return texts if found.exact or len(found.quarantined) else [*texts, f"quarantine   none{looked}"]


def _machine_said(found: Check) -> list[str]:
    trainer, spent = found.experiment.trainer, found.cost
    reason = machine.why_no_gpu()
    name = torch.cuda.get_device_name() if trainer.device == "cuda" else f"{trainer.threads} threads"
    parts = [f"decoding {found.decode_minutes:.1f}"] if found.decode_minutes else ["all images are decoded"]
    parts += [f"probe {spent.probe_minutes:.1f}"] if spent.probe_minutes else []
    parts += [f"{found.experiment.transfer.epochs} epochs of {spent.epoch_seconds:.0f} s"] if spent.epoch_seconds else []
    parts += [f"{found.experiment.split.fits} folds"] if found.experiment.split.fits else []
    parts += [f"{1 + len(methods_of(found.experiment))} candidates, twice as long with a target"] if methods_of(found.experiment) else []
    free = shutil.disk_usage(Path.cwd()).free / GIGABYTE
    faster = "; less where bfloat16 pays" if trainer.precision == "auto" else ""
    return [
        f"device       {trainer.device} ({name})" + (f": {reason}" if reason else ""),
        f"time         about {spent.minutes + found.decode_minutes:.1f} minutes ({', '.join(parts)}{faster})",
        f"memory       {found.rehearsal.memory_bytes / GIGABYTE:.1f} GB" + (" on the GPU" if trainer.device == "cuda" else ""),
        f"disk         {spent.store_bytes / GIGABYTE:.2f} GB of decoded images in the cache, "
        f"{spent.run_bytes / GIGABYTE:.2f} GB for the run ({free:,.0f} GB free here)",
    ]


def _batch_said(found: Check) -> list[str]:
    images, targets = found.rehearsal.images, found.rehearsal.targets
    of_class = (targets == 1).sum(axis=0) if targets.ndim == 2 else np.bincount(targets, minlength=len(found.experiment.task.learned))
    counts = ", ".join(f"{name} {int(count)}" for name, count in zip(found.experiment.task.learned, of_class, strict=True))
    return [
        f"first batch  {images.shape} {images.dtype}, from {images.min()} to {images.max()}, mean {images.mean():.0f}, "
        f"standard deviation {images.std():.0f}; {counts}"
    ]


def _rates_said(found: Check) -> list[str]:
    if found.rates is None:
        return []
    ranged, seen = found.rates, "" if found.exact else f", on the {len(found.rehearsal.targets):,} or more images that were read"
    lost = f", is lost from {ranged.lost:.1e} on" if ranged.lost is not None else ""
    falls = f"falls fastest at {ranged.steepest:.1e}, is least at {ranged.least:.1e}" if ranged.falls else "never falls below its start"
    return [
        f"rates        the loss {falls}{lost}; transfer.rate is {found.experiment.transfer.rate:.1e} "
        f"(first steps of one training{seen}: an order of magnitude)"
    ]
