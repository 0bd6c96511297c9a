"""What loss and sampler do about rare classes, built for these training images."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import nn

from medtl import registry
from medtl.batches import Targets
from medtl.experiment.schema import Experiment


@dataclass(frozen=True)
class Balance:
    """Loss and sampler, and what both together shift."""

    loss: nn.Module
    counts: NDArray[np.float64]
    """(K,) training images per class (of `task.learned`); of several findings per image (K, 2), known to be without and with each."""
    weights: NDArray[np.float64] | None
    """(N,) sampling weights of the training images, None = each once."""
    prior_shift: tuple[float, ...]
    """(K,) what they add to the logits, or to the log-odds of each finding; undone before any answer. Of classes its mean is 0."""


def balance(experiment: Experiment, targets: Targets) -> Balance:
    """Build loss and sampler for these training targets, and the prior shift that both declare together."""
    if experiment.task.kind == "multi":
        return _of_findings(experiment, targets)
    counts = np.bincount(targets, minlength=len(experiment.task.learned)).astype(np.float64)
    loss_settings, sampler_settings = experiment.imbalance.loss, experiment.imbalance.sampler
    loss_file = registry.component("imbalance.losses", loss_settings.name)  # type: ignore[attr-defined]
    sampler_file = registry.component("imbalance.samplers", sampler_settings.name)  # type: ignore[attr-defined]
    per_class = np.asarray(sampler_file.class_weights(sampler_settings, counts), np.float64)
    shift = np.asarray(loss_file.log_prior_shift(loss_settings, counts)) + np.log(per_class)
    natural = bool(np.all(per_class == per_class[0]))
    return Balance(
        loss=loss_file.build(loss_settings, counts, experiment.transfer.label_smoothing),
        counts=counts,
        weights=None if natural else per_class[targets],
        prior_shift=centred(shift) if experiment.task.learn == "classes" else (0.0,) * len(experiment.task.names),
    )


def balance_further(experiment: Experiment, targets: Targets) -> Balance:
    """As :func:`balance`; where finer outputs are learned, the targets may name a class alone (`training.fit.learned_targets`)."""
    if experiment.task.learn == "classes":
        return balance(experiment, targets)
    from medtl.imbalance.losses._superset import SupersetLoss

    finer = targets[targets < len(experiment.task.learned)]
    return replace(balance(experiment, finer), loss=SupersetLoss(experiment.task.outputs))


def _of_findings(experiment: Experiment, targets: Targets) -> Balance:
    """The samplers that serve several findings per image draw every image once (see `imbalance.unfit`), so the loss alone shifts."""
    counts = np.stack([(targets == side).sum(axis=0) for side in (0, 1)], axis=1).astype(np.float64)
    settings = experiment.imbalance.loss
    loss = registry.component("imbalance.losses", settings.name)  # type: ignore[attr-defined]
    return Balance(
        loss=loss.build(settings, counts, experiment.transfer.label_smoothing),
        counts=counts,
        weights=None,
        prior_shift=tuple(float(value) for value in loss.log_prior_shift(settings, counts)),
    )


def centred(shift: NDArray[np.float64]) -> tuple[float, ...]:
    """An equal amount for all classes means nothing."""
    return tuple(float(value) for value in shift - shift.mean())
