"""From one split and one store to a trained, calibrated classifier: strategy by strategy, over one mechanism."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray

from medtl import findings
from medtl.backbones.fitting import sentence
from medtl.backbones.network import build_network
from medtl.batches import Part, Targets
from medtl.contracts import TRAIN, VALIDATION, Task, Threshold
from medtl.decisions import methods, per_class, threshold
from medtl.decisions.methods import Calibrated
from medtl.errors import MedtlError, listed
from medtl.experiment.schema import Experiment
from medtl.model.answers import ensemble_logits
from medtl.model.gate import Gate
from medtl.module.classifier import Classifier
from medtl.module.learning import refuse_impossible
from medtl.records import SPELLING
from medtl.training.heads import probe, probed_logits, retrain
from medtl.training.job import Job


@dataclass(frozen=True)
class Fitted:
    """A classifier, the stored rule from logits to decisions, its validation logits, and how it came about."""

    classifier: Classifier
    prior_shift: tuple[float, ...]
    calibration: Calibrated
    threshold: Threshold | None
    rule: str
    """By which the threshold was chosen."""
    logits: NDArray[np.float64]
    """(N, K) raw logits of the validation images, in the order of the records' validation rows."""
    history: dict[str, Any]
    prevalence: Threshold | None = None
    """Of validation, the share that is positive, or has each finding."""
    gate: Gate | None = None
    """None: `decision.gate: none`."""


def parts_of(records: pd.DataFrame, experiment: Experiment, class_alone: bool = False) -> dict[str, Part]:
    """Training and validation parts: positions in `records` (and so in the store) of labelled images; training's hold what is learned
    (:func:`learned_targets`)."""
    found = {}
    for split in (TRAIN, VALIDATION):
        positions = np.flatnonzero((records["split"] == split) & (records["label"] != ""))
        labelled, task = records.iloc[positions], experiment.task
        targets = learned_targets(labelled, task, class_alone) if split == TRAIN else targets_of(labelled, task)
        found[split] = Part(positions.astype(np.int64), targets)
    return found


def learned_targets(labelled: pd.DataFrame, task: Task, class_alone: bool = False) -> Targets:
    """What training images teach: :func:`targets_of`, or (N,) positions of their spellings in `task.learned`.

    class_alone: a label without a spelling teaches its class k alone, as position `len(task.learned) + k`; else MedtlError.
    """
    if task.learn == "classes":
        return targets_of(labelled, task)
    position_of = {name: k for k, name in enumerate(task.learned)}
    spelling, classes = labelled[SPELLING], task.class_of()
    stale = labelled[spelling.map(classes) != labelled["label"]]
    if class_alone and (stale[SPELLING] == "").all():
        alone = {name: len(position_of) + k for k, name in enumerate(task.names)}
        return spelling.map(position_of).fillna(labelled["label"].map(alone)).to_numpy(np.int64)
    if len(stale):
        raise MedtlError(
            f"task.learn: spellings: {len(stale)} images have a corrected class, but no spelling of it ({listed(stale['image'], most=3)}); "
            "exclude them in the corrections, or leave `learn` out"
        )
    return spelling.map(position_of).to_numpy(np.int64, copy=True)


def targets_of(labelled: pd.DataFrame, task: Task) -> Targets:
    """What labelled records are: (N,) int64 positions of their classes, or (N, K) float32 findings, NaN where unknown."""
    if task.kind == "multi":
        return findings.numbers(labelled, task.names).astype(np.float32)
    position_of = {name: k for k, name in enumerate(task.names)}
    return labelled["label"].map(position_of).to_numpy(np.int64, copy=True)


def fit(job: Job, root: Path) -> Fitted:
    """Train by the experiment's strategy. Reads no image or label of any split but train and validation."""
    classifier, balanced = build_classifier(job.experiment, root), job.balanced
    history: dict[str, Any] = {"weights": classifier.network.provenance}
    job.line.keep(f"{job.experiment.backbone.name}: {sentence(classifier.network.provenance)}")
    if job.experiment.transfer.probed:
        history["probe"] = probe(job, classifier)
    if job.experiment.transfer.tuned:
        from medtl.training.finetune import finetune  # here, for these bring Lightning with them, which a probe does without
        from medtl.training.frozen import batches

        history["tuned"] = finetune(job, classifier, batches(job, classifier)).history(job.experiment.transfer)
        again = retrain(job, classifier)
        if again is not None:
            balanced, history["retrained"] = again
        logits = job.validation_logits(classifier)
    else:
        logits = probed_logits(job, classifier)
    last, reached = job.experiment.transfer.epochs - 1, history["tuned" if "tuned" in history else "probe"]
    job.watch(last, reached[f"validation_{job.experiment.transfer.monitor}"])  # the end of a fit, also of one that patience ended
    decided = calibrate(job.experiment, logits[None], balanced.prior_shift, job.validation.targets)
    return Fitted(
        classifier, balanced.prior_shift, decided.calibration, decided.threshold, decided.rule, logits, history, decided.prevalence
    )


def build_classifier(experiment: Experiment, root: Path) -> Classifier:
    """Network with its weights, and a small random head, both from the experiment's seed."""
    torch.manual_seed(experiment.seed)
    pretrained = experiment.transfer.strategy != "scratch"
    network = build_network(experiment.backbone, experiment.image, root, experiment.seed, pretrained)
    torch.manual_seed(experiment.seed)
    classifier = Classifier(network, experiment.task.outputs, experiment.transfer.dropout, experiment.decision.flips)
    refuse_impossible(classifier, experiment.transfer)
    return classifier.to(device=experiment.trainer.device, memory_format=torch.channels_last)


@dataclass(frozen=True)
class Decided:
    """From logits to decisions."""

    calibration: Calibrated
    threshold: Threshold | None
    rule: str = ""
    """By which the threshold was chosen, in the field's words; empty where there is none."""
    prevalence: Threshold | None = None
    """Of these images, the share that is positive, or has each finding."""


def calibrate(experiment: Experiment, logits: NDArray[np.float64], prior_shift: ArrayLike, truth: ArrayLike) -> Decided:
    """Calibration and, for two classes or findings, thresholds, from (M, N, K) validation logits and truth (as of a Part) alone."""
    combined, rules = ensemble_logits(logits, prior_shift, experiment.task.kind), experiment.decision
    if experiment.task.kind == "multi":
        each = methods.fit(combined, truth, rules.calibration, several=True)
        cuts = per_class.fit_thresholds(each.apply(combined), truth, rules.threshold)
        said = threshold.said(rules.threshold, all(cut.reached for cut in cuts))
        return Decided(each, tuple(cut.value for cut in cuts), said, tuple(np.nanmean(truth, axis=0).tolist()))
    fitted = methods.fit(combined, truth, rules.calibration)
    positive = experiment.task.positive_index
    if positive is None:
        return Decided(fitted, None)
    is_positive = np.equal(truth, positive)
    cut = threshold.fit(fitted.apply(combined)[:, positive], is_positive, rules.threshold)
    return Decided(fitted, cut.value, threshold.said(rules.threshold, cut.reached), float(is_positive.mean()))
