"""What a run's package will remember of its source: validation images, or those held out of all folds, and the known shifts that guesses
of the accuracy are tried on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.contracts import CALIBRATION, TRAIN, VALIDATION
from medtl.decisions import outlyingness
from medtl.decisions.outlyingness import Detector
from medtl.errors import MedtlError
from medtl.flows.judging import unit_of
from medtl.flows.own_test import labelled_rows, store_of
from medtl.flows.run import Run, data_root_of
from medtl.flows.shift_images import looked, sample_of
from medtl.imaging.store import Store
from medtl.model.model import Model
from medtl.records import KEY
from medtl.shift.accuracy import Answers, KnownShift, estimates
from medtl.shift.distances import apart
from medtl.shift.draws import one_of_each, patients
from medtl.shift.examine import Sample
from medtl.shift.source import Source
from medtl.stress.views import VIEWS
from medtl.terminal import Line

MOST_IMAGES, MOST_TRAINING, MOST_SHIFTED = 2000, 2000, 200
"""Of validation, of training for the coordinates, and of patients for each known shift: more would cost time and tell little more."""


def source_of(run: Run, data: Path | None, line: Line) -> Source:
    """Looks at the run's validation images, over folds at those that `split.held_out` kept out of all of them, plain and under every
    stress view. No test image is opened.

    Raises MedtlError for a run over folds that kept none: each of its images taught some member, so none shows what all do elsewhere.
    """
    judged = CALIBRATION if run.folds() else VALIDATION
    if run.folds() and run.experiment.split.held_out is None:
        raise MedtlError(
            f"{run.folder}: is a run over folds, whose images all taught some of its members; hold another hospital against one of its "
            f"folds, such as {run.folder / 'folds' / '0'}, or train with split.held_out"
        )
    model, root = run.model(), data_root_of(run, data)
    rows = _some(labelled_rows(run, [run], judged), MOST_IMAGES, run.experiment.seed)
    store = store_of(run, rows, root, line)
    positions = np.flatnonzero(store.usable)
    rows = rows.iloc[positions].reset_index(drop=True)
    logits, features = looked(model, store, positions, line.progress("source"))
    detector = model.gate.detector if model.gate is not None else _fitted(model, run, root, line)
    sample = sample_of(model, rows, store, positions, logits, detector.coordinates(features))
    known = _known(model, rows, store, positions, sample, detector, line) if sample.truth is not None else []
    shuffled = _shuffled(sample, run.experiment.seed)
    return Source(shuffled, detector, known, model.task.names if sample.truth is not None else (), unit_of(rows), model.fingerprint)


def _some(rows: pd.DataFrame, most: int, seed: int) -> pd.DataFrame:
    """Whole groups at random, about so many rows."""
    if len(rows) <= most:
        return rows
    sizes = rows.groupby("group_id").size().sample(frac=1, random_state=seed)
    return rows[rows["group_id"].isin(sizes.index[sizes.cumsum() <= most])].reset_index(drop=True)


def _fitted(model: Model, run: Run, root: Path, line: Line) -> Detector:
    """Coordinates from the training images, as the gate would have them."""
    rows = labelled_rows(run, run.folds() or [run], TRAIN).drop_duplicates(KEY)
    rows = rows.iloc[np.unique(np.linspace(0, len(rows) - 1, min(MOST_TRAINING, len(rows))).astype(int))].reset_index(drop=True)
    store = store_of(run, rows, root, line)
    features = looked(model, store, np.flatnonzero(store.usable), line.progress("training images"))[1]
    return outlyingness.fit(features, "mahalanobis")


def _known(
    model: Model, rows: pd.DataFrame, store: Store, positions: NDArray[np.intp], plain: Sample, detector: Detector, line: Line
) -> list[KnownShift]:
    """Of other patients under each stress view: what the guesses said, what was true, and how far the features moved."""
    rng = np.random.default_rng(0)
    own = one_of_each(patients(plain.groups), rng)
    shifted, near = own[: min(MOST_SHIFTED, len(own) // 2)], own[len(own) // 2 :]
    source = _answers(plain, near)
    found = []
    for view in VIEWS:
        logits, features = looked(model, store, positions[shifted], line.progress(view.name), view.show)
        changed = sample_of(model, rows.iloc[shifted].reset_index(drop=True), store, positions[shifted], logits, features)
        answers = _answers(changed, np.arange(len(shifted)))
        assert plain.features is not None
        far_off = apart(plain.features[near], detector.coordinates(features))
        found.append(KnownShift(view.name, far_off, float(answers.correct.mean()), estimates(source, answers)))
    return found


def _answers(sample: Sample, rows: NDArray[np.int64]) -> Answers:
    assert sample.probabilities is not None
    assert sample.predicted is not None
    assert sample.truth is not None
    return Answers(sample.probabilities[rows], sample.predicted[rows], sample.truth[rows])


def _shuffled(sample: Sample, seed: int) -> Sample:
    """Rows and the numbers of patients in another order than the records'."""
    rng = np.random.default_rng(seed)
    numbers = rng.permutation(int(sample.groups.max()) + 1)
    return replace(sample, groups=numbers[sample.groups]).part(rng.permutation(len(sample)))
