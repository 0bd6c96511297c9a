"""What a study of adaptation opens once all of it is trained: the labels of the target's test patients, shown to every candidate.

Ceilings are trained first, for they are trainings too. Each model's look is counted before any of its figures is known.
"""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from medtl import measurements
from medtl.adaptation import SOURCE_ONLY
from medtl.contracts import TEST, TRAIN
from medtl.errors import MedtlError, listed
from medtl.experiment.schema import Experiment
from medtl.files import claimed
from medtl.flows import release_file
from medtl.flows.ceilings import failed_ceiling, finished_ceiling, train_ceiling
from medtl.flows.few_labels import Places, Side, from_source
from medtl.flows.hidden_labels import opened
from medtl.flows.judging import judge
from medtl.flows.looks import Looks, count_look
from medtl.flows.own_test import store_of
from medtl.flows.run import Run, load_run
from medtl.flows.trials import Site, judged
from medtl.imaging.cache import cache_dir
from medtl.imaging.store import Store, open_store
from medtl.records import KEY
from medtl.study.target import AS_TAKEN, BY_SOURCE, BY_TARGET, TRAINED_THERE, Opened, is_opened, write
from medtl.training.fit import targets_of

Answers = NDArray[np.float64]


@dataclass(frozen=True)
class Ceilings:
    """What could be had on the target, asked for by the study."""

    trained: bool
    """By the same recipe, trained on the target's own labels."""
    as_taken: str | None
    """A folder of the target's images as they were before a made shift."""


def complete(site: Site, names: Collection[str], asked: Ceilings) -> None:
    """Ceilings, then the target's labels, for these trials; nothing is opened while anything is left to train."""
    if not all(judged(site.place(name)) or site.failed(name).exists() for name in names):
        return
    runs = {name: load_run(site.place(name)) for name in names if judged(site.place(name))}
    for run in runs.values() if asked.trained else ():
        if site.over:
            return
        train_ceiling(site, run)
    if asked.trained and not all(finished_ceiling(site, run) is not None or failed_ceiling(site, run) for run in runs.values()):
        return
    for name, run in runs.items():
        with claimed(site.claim(f"target-{name}")) as mine:
            if mine and not is_opened(site.folder, name):
                write(_opened(site, run, asked), site.folder, name)


def _opened(site: Site, run: Run, asked: Ceilings) -> Opened:
    """What every candidate and ceiling of one trial says."""
    adaptation, release = run.experiment.adaptation, release_file.read(run.folder)
    assert adaptation != "none"
    assert adaptation.target is not None
    assert release is not None
    domain = adaptation.target.domain
    rows = _of_two_classes(run, opened(run.experiment, run.records(), site.root, domain, TEST)[0], domain)
    store = store_of(run, rows, site.root, site.line)
    candidates, missing = run.candidates(), {}
    shown = {name: (each, store) for name, each in candidates.items()}
    if asked.trained:
        ceiling = finished_ceiling(site, run)
        if ceiling is not None:
            shown[TRAINED_THERE] = ceiling, store
        else:
            missing[TRAINED_THERE] = failed_ceiling(site, run)
    if asked.as_taken is not None:
        shown[AS_TAKEN] = candidates[SOURCE_ONLY], _as_taken(site, run.experiment, rows, domain, asked.as_taken)
    told = {name: _judged(site, each, rows, images, f"{domain}, {name}") for name, (each, images) in shown.items()}
    answers, ceilings = ({name: table for name, (table, _) in told.items() if (name in candidates) == own} for own in (True, False))
    last = [looks for name, (_, looks) in told.items() if name != AS_TAKEN][-1]  # those are other files, counted for themselves
    alone, bright = _brightness(site, run, rows, domain)
    return Opened(domain, adaptation.name, release, answers, ceilings, bright, alone, {"look": last.count, "models": last.models}, missing)


def _of_two_classes(run: Run, rows: pd.DataFrame, domain: str) -> pd.DataFrame:
    """Raises MedtlError where all are of one class, or no finding is in some and absent in others."""
    task, truth = run.experiment.task, targets_of(rows, run.experiment.task)
    if not any(len(np.unique(each[np.isfinite(each)])) > 1 for each in (truth.T if truth.ndim == 2 else [truth])):
        there = listed(sorted(rows["label"].unique())) or "no label at all"
        needed = "two classes" if task.kind == "single" else "a finding that some have and some have not"
        raise MedtlError(f"{run.folder}: the test images of '{domain}' have {there}, and a judgement needs {needed}; see split.test")
    return rows.reset_index(drop=True)


def _judged(site: Site, run: Run, rows: pd.DataFrame, store: Store, said: str) -> tuple[pd.DataFrame, Looks]:
    """A model's answers to all of `rows`; the look is counted before."""
    model = run.model(run.experiment.trainer.device)
    looks = count_look(store.measurements["sha256"], model.fingerprint, run.experiment.name)
    return judge(model, rows, store, np.arange(len(rows)), site.line.progress(said)), looks


def _as_taken(site: Site, experiment: Experiment, rows: pd.DataFrame, domain: str, folder: str) -> Store:
    """The same images before the made shift: in another folder, under the same names."""
    own = next(cohort.folder for cohort in experiment.cohorts if cohort.domain == domain)
    keys = rows[KEY].assign(image=[posixpath.join(folder, posixpath.relpath(image, own)) for image in rows["image"]])
    store = open_store(keys, site.root, experiment.image, cache_dir(), site.line.progress("images as taken"))
    lacking = keys.loc[~np.asarray(store.usable), "image"]
    if len(lacking):
        raise MedtlError(
            f"reading.as_taken: {len(lacking)} images of '{domain}' are not there or cannot be read: {listed(lacking, most=3)}"
        )
    return store


def _brightness(site: Site, run: Run, rows: pd.DataFrame, domain: str) -> tuple[Mapping[str, Answers], Answers]:
    """What an image's mean brightness says, learned from either domain's training labels; and the brightness of `rows`."""
    experiment, known = run.experiment, run.records()
    measured = measurements.read(run.folder / "measurements.csv")[[*KEY, "brightness"]]

    def bright(of: pd.DataFrame) -> torch.Tensor:
        return torch.from_numpy(
            of[KEY].merge(measured, on=KEY, how="left", validate="one_to_one")["brightness"].to_numpy(np.float32)[:, None]
        )

    source = known[(known["domain"] != domain) & (known["split"] == TRAIN) & (known["label"] != "")]
    target = opened(experiment, known, site.root, domain, TRAIN)[0]
    task = experiment.task

    def side(of: pd.DataFrame) -> Side:
        return Side(bright(of), bright(of), targets_of(of, task), np.zeros(len(of), np.int64))

    asked, alone = side(rows), {}
    for who, given in ((BY_SOURCE, side(source)), (BY_TARGET, side(target))):
        alone[who] = from_source(Places(given, given, asked, (1,), len(task.names), task.positive_index), asked)
    return alone, asked.brightness[:, 0].double().numpy()
