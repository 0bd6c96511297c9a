"""From one split and one store to a trained, calibrated classifier: strategy by strategy, over one mechanism."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from medtl import registry
from medtl.backbones.fitting import sentence
from medtl.backbones.network import build_network
from medtl.batches import Part
from medtl.contracts import TRAIN, VALIDATION
from medtl.decisions import calibration, threshold
from medtl.decisions.calibration import Calibration
from medtl.experiment.schema import Experiment
from medtl.features import cached_features
from medtl.imaging.cache import cache_dir
from medtl.imaging.store import Store
from medtl.model.answers import ensemble_logits
from medtl.module.classifier import Classifier
from medtl.module.inference import logits_of
from medtl.terminal import Line
from medtl.training.log import Log
from medtl.training.probe import fit_probe
from medtl.training.weights import load_weights, save_weights

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger


@dataclass(frozen=True)
class Fitted:
    """A classifier, the stored rule from logits to decisions, its validation logits, and how it came about."""

    classifier: Classifier
    prior_shift: tuple[float, ...]
    calibration: Calibration
    threshold: float | None
    logits: NDArray[np.float64]
    """(N, K) raw logits of the validation images, in the order of the records' validation rows."""
    history: dict[str, Any]


def parts_of(records: pd.DataFrame, experiment: Experiment) -> dict[str, Part]:
    """Training and validation parts: positions in `records` (and so in the store) of labelled images."""
    position_of = {name: k for k, name in enumerate(experiment.task.names)}
    found = {}
    for split in (TRAIN, VALIDATION):
        positions = np.flatnonzero((records["split"] == split) & (records["label"] != ""))
        targets = records["label"].iloc[positions].map(position_of).to_numpy(np.int64, copy=True)
        found[split] = Part(positions.astype(np.int64), targets)
    return found


@dataclass(frozen=True)
class Balance:
    """What loss and sampler do about rare classes."""

    loss: nn.Module
    weights: NDArray[np.float64] | None
    """(N,) sampling weights of the training images, None = each once."""
    prior_shift: tuple[float, ...]


def balance(experiment: Experiment, targets: NDArray[np.int64]) -> Balance:
    """Build loss and sampler for these training targets, and the prior shift that both declare together."""
    counts = np.bincount(targets, minlength=len(experiment.task.names)).astype(np.float64)
    loss_settings, sampler_settings = experiment.imbalance.loss, experiment.imbalance.sampler
    loss_file = registry.component("imbalance.losses", loss_settings.name)  # type: ignore[attr-defined]
    sampler_file = registry.component("imbalance.samplers", sampler_settings.name)  # type: ignore[attr-defined]
    per_class = np.asarray(sampler_file.class_weights(sampler_settings, counts), np.float64)
    shift = np.asarray(loss_file.log_prior_shift(loss_settings, counts)) + np.log(per_class)
    natural = bool(np.all(per_class == per_class[0]))
    return Balance(
        loss=loss_file.build(loss_settings, counts, experiment.transfer.label_smoothing),
        weights=None if natural else per_class[targets],
        prior_shift=tuple(float(value) for value in shift - shift.mean()),
    )


def fit(
    experiment: Experiment, records: pd.DataFrame, store: Store, root: Path, folder: Path, log: Log, line: Line, trackers: list[Logger]
) -> Fitted:
    """Train by the experiment's strategy; `records` rows and store positions correspond one to one.

    `folder` takes the checkpoints and is where an interrupted fit is continued from. Reads no image or label of any split
    but train and validation.
    """
    transfer = experiment.transfer
    parts = parts_of(records, experiment)
    train, validation = parts[TRAIN], parts[VALIDATION]
    balanced = balance(experiment, train.targets)
    device = torch.device(experiment.trainer.device)
    classifier = build_classifier(experiment, root)
    history: dict[str, Any] = {"weights": classifier.network.provenance}
    line.keep(f"{experiment.backbone.name}: {sentence(classifier.network.provenance)}")
    if transfer.strategy in ("linear-probe", "lp-ft"):
        history["probe"] = _probe(classifier, store, train, validation, balanced, experiment, folder, log, line)
    if transfer.strategy != "linear-probe":
        from medtl.datamodule import StoredImages  # here, for these bring Lightning with them, which a probe does without
        from medtl.training.finetune import finetune

        data = StoredImages(store, train, validation, experiment.augmentation, transfer.batch, experiment.seed, balanced.weights)
        tuned = finetune(classifier, balanced.loss, data, experiment, folder, log, line, trackers)
        history["tuned"] = {"epochs": tuned.epochs, "best_epoch": tuned.best_epoch + 1, f"validation_{transfer.monitor}": tuned.best}
    logits = logits_of(classifier, store, validation.positions, device)
    calibrated, cut = calibrate(experiment, logits[None], balanced.prior_shift, validation.targets)
    return Fitted(classifier, balanced.prior_shift, calibrated, cut, logits, history)


def build_classifier(experiment: Experiment, root: Path) -> Classifier:
    """Network with its weights, and a small random head, both from the experiment's seed."""
    torch.manual_seed(experiment.seed)
    pretrained = experiment.transfer.strategy != "scratch"
    network = build_network(experiment.backbone, experiment.image, root, experiment.seed, pretrained)
    torch.manual_seed(experiment.seed)
    classifier = Classifier(network, len(experiment.task.names), experiment.transfer.dropout, experiment.decision.flips)
    return classifier.to(device=experiment.trainer.device, memory_format=torch.channels_last)


def _probe(
    classifier: Classifier,
    store: Store,
    train: Part,
    validation: Part,
    balanced: Balance,
    experiment: Experiment,
    folder: Path,
    log: Log,
    line: Line,
) -> dict[str, Any]:
    """Fit the head on features computed once; a head that an interrupted run had finished is taken as it stands."""
    file = folder / "probe.safetensors"
    device = torch.device(experiment.trainer.device)
    positions = np.concatenate([train.positions, validation.positions])
    features = cached_features(classifier.network, store, positions, device, cache_dir(), line.progress("features"))
    probe = fit_probe(
        features[: len(train)],
        torch.from_numpy(train.targets),
        None if balanced.weights is None else torch.from_numpy(balanced.weights),
        balanced.loss.double(),
        experiment.transfer.probe_penalty,
        (features[len(train) :], validation.targets),
        experiment.transfer.monitor,
        len(experiment.task.names),
        experiment.task.positive_index,
    )
    balanced.loss.float()
    if file.exists():
        load_weights(classifier, file)
    else:
        probe.apply_to(classifier.head)
        save_weights(classifier, file)
    best = probe.scores[probe.penalty]
    log.event("probe", penalty=probe.penalty, scores={str(penalty): score for penalty, score in probe.scores.items()})
    line.keep(f"linear probe  validation {experiment.transfer.monitor} {best:.4f} (penalty {probe.penalty:g})")
    return {"penalty": probe.penalty, f"validation_{experiment.transfer.monitor}": best}


def calibrate(
    experiment: Experiment, logits: NDArray[np.float64], prior_shift: ArrayLike, truth: NDArray[np.int64]
) -> tuple[Calibration, float | None]:
    """Calibration and, for two classes, threshold, from (M, N, K) validation logits alone."""
    combined = ensemble_logits(logits, prior_shift)
    fitted = calibration.fit(combined, truth, experiment.decision.calibration)
    positive = experiment.task.positive_index
    if positive is None:
        return fitted, None
    return fitted, threshold.fit(fitted.apply(combined)[:, positive], truth == positive, experiment.decision.threshold)
