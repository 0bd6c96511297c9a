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
from medtl.training.adapting import Adapting
from medtl.training.fit import Fitted

OVER_FOLDS = "over folds"
"""Stands for the split of an image that some folds learned from or chose by."""


def write_metrics(table: pd.DataFrame, experiment: Experiment, rows: pd.DataFrame, folder: Path, threshold: Threshold | None) -> None:
    """Of validation."""
    entry = judge_split(each_member(table), experiment.task, threshold=threshold)
    metrics_file.write(folder / "metrics.json", {VALIDATION: entry}, unit_of(rows), looks=0)


def write_package(
    experiment: Experiment,
    folder: Path,
    members: Sequence[Fitted],
    rule: Rule,
    rows: pd.DataFrame,
    store: Store,
    adapting: Adapting | None = None,
) -> None:
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
        training={"images": images_of(rows, _learned_from(experiment, rows)), "history": [fitted.history for fitted in members]},
        fitted_on=rule.threshold_on.split,
        fitted_n=rule.threshold_on.n,
        training_images=_training_pixels(rows, store, _learned_from(experiment, rows), adapting),
        lineage={"experiment_sha256": hashlib.sha256(to_yaml(experiment).encode()).hexdigest(), **_adapted(adapting)},
        adjusted=rule.adjusted,
        held_out_groups=rule.held_out_groups,
        gate=members[0].gate,
        conformal=rule.conformal,
        guarantee=rule.guarantee,
        prevalence=rule.prevalence,
        calibrated_on=rule.calibrated_on if rule.kept_for_threshold else None,
    )


def _learned_from(experiment: Experiment, rows: pd.DataFrame) -> dict[str, str]:
    """Name → split of what a model was taught or chosen by. No fold has seen what is held out; all together have been chosen by it."""
    if (rows["split"] == OVER_FOLDS).any():
        return {"train and validation": OVER_FOLDS, CALIBRATION: CALIBRATION}
    whole = experiment.split.fits is None
    return {split: split for split in (TRAIN, VALIDATION, *([CALIBRATION] if whole else []))}


def images_of(rows: pd.DataFrame, learned_from: dict[str, str]) -> dict[str, dict[str, int]]:
    """Images per class (or with each finding) of each of these parts (name → split); other labels are not looked at. Over folds, of all
    together."""
    parts = {name: rows["split"] == split for name, split in learned_from.items()}
    parts = {name: part for name, part in parts.items() if part.any()}
    own = findings.columns_of(rows)
    if own:
        found = {name: (rows.loc[part, own] == "1").sum() for name, part in parts.items()}
        return {name: {each.removeprefix(findings.PREFIX): int(sums[each]) for each in own} for name, sums in found.items()}
    labels = {name: rows.loc[part, "label"] for name, part in parts.items()}
    return {name: own[own != ""].value_counts().sort_index().to_dict() for name, own in labels.items()}


def _adapted(adapting: Adapting | None) -> dict[str, object]:
    """By what, and to how many images of which domain."""
    if adapting is None or adapting.settings.target is None:
        return {}
    method = adapting.settings
    return {"adaptation": {"method": method.name, "target": method.target.domain, "target_images": len(adapting.target)}}


def _training_pixels(rows: pd.DataFrame, store: Store, learned_from: dict[str, str], adapting: Adapting | None) -> list[str]:
    """Pixel hashes of everything that the model has learned from, was adapted to or chosen by."""
    learned = (rows["split"].isin(learned_from.values()) & (rows["label"] != "")).to_numpy(copy=True)
    if adapting is not None:
        learned[adapting.target] = True
    return sorted(set(store.measurements["pixel_hash"][learned & store.usable]))
