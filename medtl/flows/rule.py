"""From logits to decisions: the calibration and rule that a package stores, and on which images they were fitted.

With `decision.guarantee` a threshold is then put where held-out images that chose nothing say (:mod:`medtl.flows.guarantee`); with
`decision.conformal`, sets of classes are fitted on the same.

A single model's are fitted on its own validation images. An ensemble's must be fitted on what all members say together, of images that none
of them has learned from: validation, where the members share it and differ by their seeds; over folds, held-out images (`split.held_out`).
Where none were held out, each member's answers on its own validation images stand in for it: these are of one member, and less smoothed
than the mean of several, so the package says that it is unverified.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray

from medtl import predictions
from medtl.cohorts.splitting import fold_records
from medtl.contracts import CALIBRATION, VALIDATION, Threshold
from medtl.decisions import conformal, isotonic
from medtl.decisions.conformal import Sets
from medtl.decisions.methods import Calibrated
from medtl.decisions.precedence import Reasons
from medtl.decisions.prior import remove
from medtl.decisions.threshold import adjustment
from medtl.experiment.schema import Experiment
from medtl.flows.guarantee import chosen_by, guarantee, kept_for_guarantees
from medtl.flows.judging import answered_rows, looked, reasons_of, unit_of
from medtl.imaging.store import Store
from medtl.model.answers import answer_table, ensemble_logits
from medtl.model.model import Model
from medtl.model.operating_point import FittedOn, Guarantee
from medtl.module.inference import logits_of as network_logits
from medtl.terminal import Line
from medtl.training.fit import Fitted, calibrate, targets_of


@dataclass(frozen=True)
class Rule:
    """What is stored, and the images that chose it."""

    calibration: Calibrated
    threshold: Threshold | None
    chosen_by: str
    """The threshold's rule in words; empty where there is none."""
    adjusted: tuple[float, ...] | None
    images: int
    """That the calibration was fitted on, and unless `kept_for_threshold` says otherwise the threshold."""
    split: str = VALIDATION
    """Of these."""
    held_out_groups: int | None = None
    """Groups that no member of an ensemble has learned from; None where the rule was not fitted on such."""
    conformal: Sets | None = None
    guarantee: Guarantee | None = None
    """What the threshold keeps for patients to come."""
    prevalence: Threshold | None = None
    """Of the images that the calibration was fitted on, the share that is positive, or has each finding."""
    kept_for_threshold: int | None = None
    """So many held-out images put the threshold where it keeps a guarantee; None: `images` did."""

    @property
    def calibrated_on(self) -> FittedOn:
        return FittedOn(split=self.split, n=self.images)

    @property
    def threshold_on(self) -> FittedOn:
        """Where there is no threshold, the calibration's."""
        return self.calibrated_on if self.kept_for_threshold is None else FittedOn(split=CALIBRATION, n=self.kept_for_threshold)


def guaranteed(rule: Rule, held: pd.DataFrame, logits: NDArray[np.floating], shift: ArrayLike, experiment: Experiment) -> Rule:
    """The rule with the thresholds that keep `decision.guarantee`, by the records and logits (M, N, K) of images that chose nothing."""
    asked = experiment.decision.guarantee
    if asked is None or rule.threshold is None:
        return rule
    p = rule.calibration.apply(ensemble_logits(logits, shift, experiment.task.kind))
    threshold, promise = guarantee(p, held, rule.threshold, asked, experiment)
    kept = None if all(wrong is None for wrong in promise.wrong) else len(held)
    by = chosen_by(promise, rule.chosen_by)
    return replace(rule, threshold=threshold, guarantee=promise, chosen_by=by, kept_for_threshold=kept)


def with_sets(
    rule: Rule, held: pd.DataFrame, logits: NDArray[np.floating], reasons: Reasons, shift: ArrayLike, experiment: Experiment
) -> Rule:
    """The rule with the sets that `decision.conformal` asks for, by the records and logits (M, N, K) of images that chose nothing.

    Sets are asked for only where no other of the `reasons` speaks against an answer; fitted on such images, they keep their promise there.
    """
    settings = experiment.decision.conformal
    if settings is None:
        return rule
    asked = np.array([not reason for reason in reasons.first()], bool)
    p, own = rule.calibration.apply(ensemble_logits(logits[:, asked], shift, experiment.task.kind)), held[asked]
    fit = conformal.fit_findings if experiment.task.kind == "multi" else conformal.fit
    return replace(rule, conformal=fit(p, targets_of(own, experiment.task), own["group_id"], settings.alpha, unit_of(held)))


def refuse_too_few(rows: pd.DataFrame, experiment: Experiment) -> None:
    """Before anything is trained: raises MedtlError where what calibrates (of folds, each one's validation and what is held out) holds too
    few images for `decision.calibration`."""
    if experiment.decision.calibration != "isotonic":
        return
    split, folds = experiment.split, experiment.split.fits
    parts = [fold_records(rows, fold, split, experiment.seed) for fold in range(folds)] if folds else [rows]
    chosen = [part[(part["split"] == VALIDATION) & (part["label"] != "")] for part in parts]
    if folds and split.held_out is not None:
        held = rows.iloc[held_out_positions(rows)]
        chosen.append(held[~kept_for_guarantees(held, experiment)])
    for part in chosen:
        truth = targets_of(part, experiment.task)
        for name, present in zip(experiment.task.names, truth.T, strict=True) if truth.ndim == 2 else [("", truth)]:
            isotonic.refuse_few(present, name)


def own_rule(fitted: Fitted, experiment: Experiment) -> Rule:
    """Of a single model."""
    calibrated = fitted.calibration.apply(remove(fitted.logits, fitted.prior_shift))
    weighed = adjustment(calibrated, experiment.decision.adjust)
    return Rule(fitted.calibration, fitted.threshold, fitted.rule, weighed, len(fitted.logits), prevalence=fitted.prevalence)


def rule_together(members: Sequence[Fitted], experiment: Experiment, truth: ArrayLike, groups: int | None) -> Rule:
    """Of networks that chose by the same validation images, of this truth: on what they say together. `groups`: how many these are, if none
    of the networks has learned from any, also none that it was made from."""
    logits, shift = np.stack([fitted.logits for fitted in members]), np.array([fitted.prior_shift for fitted in members])
    return _fitted(experiment, logits, shift, truth, groups=groups)


def held_out_logits(fitted: Fitted, rows: pd.DataFrame, store: Store, experiment: Experiment) -> tuple[pd.DataFrame, NDArray[np.float64]]:
    """The labelled images of `split.held_out` among `rows`, and what a single network says of them (1, N, K); it learned from none."""
    positions = held_out_positions(rows)
    return rows.iloc[positions], network_logits(fitted.classifier, store, positions, torch.device(experiment.trainer.device))[None]


def held_out_positions(rows: pd.DataFrame) -> NDArray[np.intp]:
    """Where the labelled images of `split.held_out` stand in the records."""
    return np.flatnonzero((rows["split"] == CALIBRATION) & (rows["label"] != ""))


def rule_of_members(members: Sequence[Fitted], table: pd.DataFrame, experiment: Experiment) -> Rule:
    """Of an ensemble without held-out images: `table` holds each member's predictions of its own validation images."""
    truth = predictions.true_findings(table) if predictions.of_findings(table) else predictions.true_positions(table)
    shift = np.array([members[int(fold)].prior_shift for fold in table["fold"]])
    logits = (predictions.logits(table) - shift)[None]
    return _fitted(experiment, logits, np.zeros(shift.shape[1]), truth)


def rule_of_ensemble(
    members: Sequence[Fitted], packages: Sequence[Path], rows: pd.DataFrame, store: Store, experiment: Experiment, line: Line
) -> tuple[Rule, pd.DataFrame]:
    """Of an ensemble, on images that no member has learned from, which its packaged members answer as the ensemble's package will; and
    the predictions table of these images.

    Members that differ by their seeds share validation, which chose the epoch of each, as for a single model. Over folds held-out images
    take its place; with `decision.guarantee` or `decision.conformal` half of their groups, so that the other half has chosen nothing.
    """
    of_seeds = experiment.split.fits is None
    positions = np.flatnonzero(rows["split"].isin([VALIDATION, CALIBRATION] if of_seeds else [CALIBRATION]) & (rows["label"] != ""))
    asked, shift = rows.iloc[positions], np.array([fitted.prior_shift for fitted in members])
    logits, reasons = _asked(packages, asked, store, positions, experiment, line)
    spared = (asked["split"] == CALIBRATION).to_numpy() if of_seeds else kept_for_guarantees(asked, experiment)
    chose, groups = asked[~spared], asked[~spared]["group_id"].nunique()
    split = VALIDATION if of_seeds else CALIBRATION
    rule = _fitted(experiment, logits[:, ~spared], shift, targets_of(chose, experiment.task), split, groups)
    rule = guaranteed(rule, asked[spared], logits[:, spared], shift, experiment)
    rule = with_sets(rule, asked[spared], logits[:, spared], reasons.of(spared.tolist()), shift, experiment)
    table = answer_table(
        answered_rows(asked), logits, reasons, task=experiment.task, prior_shift=shift,
        calibration=rule.calibration, threshold=rule.threshold, adjusted=rule.adjusted, conformal=rule.conformal,
    )  # fmt: skip
    line.keep(f"the ensemble is calibrated on {rule.images:,} images of {groups:,} groups that none of its members has learned from")
    return rule, table


def _asked(
    packages: Sequence[Path], rows: pd.DataFrame, store: Store, positions: NDArray[np.intp], experiment: Experiment, line: Line
) -> tuple[NDArray[np.float32], Reasons]:
    """Logits (M, N, K), one packaged member at a time; and what the first, whose gate is the ensemble's, has against answering."""
    logits, reasons = [], Reasons.none(len(rows))
    for member, package in enumerate(packages):
        model = Model.load(package, experiment.trainer.device)
        found, scores = looked(model, store, positions, line.progress("members"))
        logits.append(found)
        if member == 0:
            reasons = reasons_of(model, rows, store, positions, scores)
    return np.concatenate(logits), reasons


def _fitted(
    experiment: Experiment,
    logits: NDArray[np.floating],
    shift: ArrayLike,
    truth: ArrayLike,
    split: str = VALIDATION,
    groups: int | None = None,
) -> Rule:
    decided = calibrate(experiment, np.asarray(logits, np.float64), shift, truth)
    probabilities = decided.calibration.apply(ensemble_logits(logits, shift, experiment.task.kind))
    weighed = adjustment(probabilities, experiment.decision.adjust)
    prevalence = decided.prevalence
    return Rule(decided.calibration, decided.threshold, decided.rule, weighed, logits.shape[1], split, groups, prevalence=prevalence)
