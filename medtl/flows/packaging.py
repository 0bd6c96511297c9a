"""What a fitted model leaves behind: its validation metrics, and the package."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from medtl import findings
from medtl.contracts import CALIBRATION, TRAIN, VALIDATION, Threshold
from medtl.evaluation import metrics_file
from medtl.evaluation.answering import judge_split
from medtl.evaluation.cases import each_member
from medtl.experiment.save import to_yaml
from medtl.experiment.schema import Experiment
from medtl.flows.judging import unit_of
from medtl.flows.rule import Rule
from medtl.imaging.store import Store
from medtl.model import package
from medtl.training.fit import Fitted

OVER_FOLDS = "over folds"
"""Stands for the split of an image that some folds learned from or chose by."""


def write_metrics(table: pd.DataFrame, experiment: Experiment, rows: pd.DataFrame, folder: Path, threshold: Threshold | None) -> None:
    """Of validation."""
    entry = judge_split(each_member(table), experiment.task, threshold=threshold)
    metrics_file.write(folder / "metrics.json", {VALIDATION: entry}, unit_of(rows), looks=0)


def write_package(experiment: Experiment, folder: Path, members: Sequence[Fitted], rule: Rule, rows: pd.DataFrame, store: Store) -> None:
    """Write `model/`, after the metrics."""
    package.save(
        folder / "model",
        members=[fitted.classifier for fitted in members],
        experiment=experiment,
        calibration=rule.calibration,
        threshold=rule.threshold,
        rule=rule.chosen_by,
        prior_shift=[fitted.prior_shift for fitted in members],
        metrics=metrics_file.read(folder / "metrics.json"),
        training={"images": _counts(rows), "history": [fitted.history for fitted in members]},
        fitted_on=rule.split,
        fitted_n=rule.images,
        training_images=_training_pixels(rows, store),
        lineage={"experiment_sha256": hashlib.sha256(to_yaml(experiment).encode()).hexdigest()},
        adjusted=rule.adjusted,
        held_out_groups=rule.held_out_groups,
    )


def _counts(rows: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Images per class (or with each finding) that the model learned from and was chosen by; test labels are not looked at. Over folds,
    of all together."""
    parts = {split: rows["split"] == split for split in (TRAIN, VALIDATION)}
    if not parts[TRAIN].any():
        parts = {"train and validation": rows["split"] == OVER_FOLDS, CALIBRATION: rows["split"] == CALIBRATION}
        parts = {name: part for name, part in parts.items() if part.any()}
    own = findings.columns_of(rows)
    if own:
        found = {name: (rows.loc[part, own] == "1").sum() for name, part in parts.items()}
        return {name: {each.removeprefix(findings.PREFIX): int(sums[each]) for each in own} for name, sums in found.items()}
    return {name: rows.loc[part, "label"].value_counts().sort_index().to_dict() for name, part in parts.items()}


def _training_pixels(rows: pd.DataFrame, store: Store) -> list[str]:
    """Pixel hashes of everything that the model has learned from or was chosen by."""
    of_ensemble = (rows["split"] == OVER_FOLDS).any()  # no fold has seen the images of calibration, all together have been chosen by them
    learned = rows["split"].isin([OVER_FOLDS, CALIBRATION] if of_ensemble else [TRAIN, VALIDATION]).to_numpy()
    return sorted(set(store.measurements["pixel_hash"][learned & store.usable]))
