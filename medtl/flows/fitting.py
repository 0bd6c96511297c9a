"""The fits of a training: one; several of one split that differ by their seeds; or one per fold. Each writes its tables and its package."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl import predictions, records
from medtl.cohorts.splitting import fold_records
from medtl.contracts import CALIBRATION, TRAIN, VALIDATION
from medtl.decisions.precedence import Reasons
from medtl.experiment.schema import Experiment
from medtl.files import write_atomically
from medtl.flows.judging import answered_rows, write_predictions
from medtl.flows.packaging import OVER_FOLDS, write_metrics, write_package
from medtl.flows.rule import (
    Rule,
    guaranteed,
    held_out_logits,
    held_out_positions,
    own_rule,
    refuse_too_few,
    rule_of_ensemble,
    rule_of_members,
    with_sets,
)
from medtl.imaging.cache import cache_dir
from medtl.imaging.store import Store
from medtl.model.answers import answer_table
from medtl.terminal import Line
from medtl.training.adapt import fit_adapted
from medtl.training.adapting import Adapting
from medtl.training.balance import balance
from medtl.training.fit import Fitted, fit, parts_of
from medtl.training.gate import fit_gate, reasons_of
from medtl.training.job import Job, Watch
from medtl.training.log import Log, loggers


@dataclass(frozen=True)
class Training:
    """What one fit needs: a run's, or a fold's."""

    experiment: Experiment
    rows: pd.DataFrame
    store: Store
    root: Path
    folder: Path
    log: Log
    line: Line
    features: Path | None
    watch: Watch
    adapting: Adapting | None = None


def fit_all(whole: Training) -> None:
    """One fit; or several by their seeds, or one per fold, with the ensemble above them."""
    experiment = whole.experiment
    refuse_too_few(whole.rows, experiment)
    if experiment.split.fits is not None:
        _fit_folds(whole, experiment.split.fits)
    elif experiment.transfer.trainings > 1:
        _fit_members(whole, experiment.transfer.trainings)
    else:
        fit_one(whole)


def _fit_folds(whole: Training, folds: int) -> None:
    """One fit per fold; the ensemble is calibrated on held-out images, or called unverified."""
    experiment, rows, store, folder = whole.experiment, whole.rows, whole.store, whole.folder
    members, parts, learned = [], [], pd.Series(False, index=rows.index)
    for fold in range(folds):
        whole.line.keep(f"fold {fold + 1} of {folds}")
        own = fold_records(rows, fold, experiment.split, experiment.seed)
        place = folder / "folds" / str(fold)

        def watch_fold(epoch: int, score: float, before: int = fold * experiment.transfer.epochs) -> None:
            whole.watch(before + epoch, score)

        kept, log = whole.features and whole.features / str(fold), whole.log.beside(place / "log.jsonl")
        fitted = fit_one(replace(whole, rows=own, folder=place, log=log, features=kept, watch=watch_fold))
        members.append(fitted)
        learned |= own["split"].isin([TRAIN, VALIDATION])
        parts.append(predictions.read(place / "predictions.csv").assign(fold=str(fold), member=str(fold)))
    together = pd.concat(parts, ignore_index=True)
    write_metrics(together, experiment, rows, folder, None)
    if experiment.split.held_out is None:
        rule = rule_of_members(members, together, experiment)
    else:
        packages = [folder / "folds" / str(fold) / "model" for fold in range(folds)]
        rule, held = rule_of_ensemble(members, packages, rows, store, experiment, whole.line)
        together = pd.concat([together, held], ignore_index=True)
    write_predictions(together, folder / "predictions.csv")
    write_package(experiment, folder, members, rule, rows.assign(split=rows["split"].mask(learned, OVER_FOLDS)), store)


def _fit_members(whole: Training, count: int) -> None:
    """One fit per seed on one split, and the ensemble of them, calibrated on its own answers to validation."""
    experiment, members = whole.experiment, []
    epochs = experiment.transfer.epochs
    for member in range(count):
        whole.line.keep(f"member {member + 1} of {count}")
        seeded = experiment.model_copy(update={"seed": experiment.seed + member})
        place = whole.folder / "members" / str(member)
        log = whole.log.beside(place / "log.jsonl")

        def watch(epoch: int, score: float, before: int = member * epochs) -> None:
            whole.watch(before + epoch, score)

        members.append(fit_one(replace(whole, experiment=seeded, folder=place, log=log, watch=watch)))
    packages = [whole.folder / "members" / str(member) / "model" for member in range(count)]
    rule, table = rule_of_ensemble(members, packages, whole.rows, whole.store, experiment, whole.line)
    write_predictions(table, whole.folder / "predictions.csv")
    judged = table[table["split"] == VALIDATION]
    write_metrics(judged, experiment, whole.rows, whole.folder, rule.threshold)
    write_package(experiment, whole.folder, members, rule, whole.rows, whole.store)


def fit_one(own: Training) -> Fitted:
    """Fit, and write the run's tables (validation and what was held out) and its package."""
    experiment, rows, folder, log = own.experiment, own.rows, own.folder, own.log
    if not (folder / "records.csv").exists():
        write_atomically(folder / "records.csv", lambda path: records.write(rows, path))
    log.event("begin")
    parts = parts_of(rows, experiment)
    job = Job(
        experiment,
        own.store,
        parts[TRAIN],
        parts[VALIDATION],
        balance(experiment, parts[TRAIN].targets),
        folder / "checkpoints",
        own.features or cache_dir(),
        log,
        own.line,
        loggers(experiment.tracking, folder, experiment.name),
        own.watch,
        own.adapting,
    )
    fitted = fit(job, own.root) if own.adapting is None else fit_adapted(job, own.root)
    log.event("fitted", **fitted.history)
    judged = rows[(rows["split"] == VALIDATION) & (rows["label"] != "")]
    gate, reasons = fit_gate(job, fitted.classifier, judged["group_id"].to_numpy())
    fitted = replace(fitted, gate=gate)
    rule, held, held_reasons = own_rule(fitted, experiment), None, Reasons.none(0)
    if experiment.split.fits is None and (rows["split"] == CALIBRATION).any():  # of folds, it is for all of them together
        held = held_out_logits(fitted, rows, own.store, experiment)
        held_reasons = reasons_of(job, fitted.classifier, gate, held_out_positions(rows))
        rule = guaranteed(rule, *held, fitted.prior_shift, experiment)
        rule = with_sets(rule, *held, held_reasons, fitted.prior_shift, experiment)
    table = _answered(judged, fitted.logits[None], reasons, fitted, rule, experiment)
    write_metrics(table, experiment, judged, folder, rule.threshold)
    if held is not None:
        table = pd.concat([table, _answered(*held, held_reasons, fitted, rule, experiment)], ignore_index=True)
    write_predictions(table, folder / "predictions.csv")
    write_package(experiment, folder, [fitted], rule, rows, own.store, own.adapting)
    return fitted


def _answered(
    rows: pd.DataFrame, logits: NDArray[np.float64], reasons: Reasons, fitted: Fitted, rule: Rule, experiment: Experiment
) -> pd.DataFrame:
    """Predictions of one network; `logits` (1, N, K)."""
    return answer_table(
        answered_rows(rows), logits, reasons, task=experiment.task, prior_shift=fitted.prior_shift,
        calibration=rule.calibration, threshold=rule.threshold, adjusted=rule.adjusted, conformal=rule.conformal,
    )  # fmt: skip
