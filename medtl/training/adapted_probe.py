"""A linear head on frozen features, fitted beside a target: the probe's loss on the source, and a penalty on all the target's images."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from medtl.adaptation.step import Step
from medtl.features import cached_features
from medtl.module.classifier import Classifier
from medtl.training.job import Job
from medtl.training.probe import fit_probe

ROUNDS = 4
"""Of a method that labels the target anew."""


def adapted_probe(job: Job, classifier: Classifier) -> dict[str, Any]:
    """Fit the head of `classifier` in place, to convergence; a method that relabels begins with the head as it is. Returns what is told.

    Features are standardised by the images of both domains together.
    """
    adapting, experiment = job.adapting, job.experiment
    assert adapting is not None
    penalty = adapting.penalty(job, classifier).double()
    views = job.training_views()
    source = torch.cat([job.features(classifier, job.train, view) for view in views])
    target = cached_features(classifier.network, job.store, adapting.target, job.device, job.cache, job.line.progress("target"))
    weights = None if job.balanced.weights is None else torch.from_numpy(np.tile(job.balanced.weights, len(views)))
    own, places, rounds = job.balanced.loss.double(), torch.arange(len(target)), ROUNDS if hasattr(penalty, "relabel") else 1
    for number in range(rounds):
        progress = number / max(1, rounds - 1)
        if rounds > 1:
            penalty.relabel(target, _logits(classifier, target), progress)

        def loss(logits: Tensor, targets: Tensor, weighed: Tensor | None, progress: float = progress) -> Tensor:
            of_source, of_target = logits[: len(source)], logits[len(source) :]
            value: Tensor = own(of_source, targets, weighed) + penalty(Step(source, of_source, target, of_target, places, progress))
            return value

        fitted = fit_probe(
            torch.cat([source, target]),
            torch.from_numpy(np.concatenate([job.train.targets] * len(views))),
            weights,
            loss,
            experiment.transfer.probe_penalty,
            (job.features(classifier, job.validation), job.validation.targets),
            experiment.transfer.monitor,
            len(experiment.task.names),
            experiment.task.positive_index,
            lambda logits: logits - torch.tensor(job.balanced.prior_shift, dtype=logits.dtype),
            classifier.network.dims,
        )
        fitted.apply_to(classifier.head)
    job.balanced.loss.float()
    monitored = experiment.transfer.monitor
    best = fitted.scores[fitted.penalty]
    job.log.event("probe", penalty=fitted.penalty, scores={str(each): score for each, score in fitted.scores.items()})
    job.line.keep(f"{adapting.settings.name} on frozen features  validation {monitored} {best:.4f} (penalty {fitted.penalty:g})")
    return {"penalty": fitted.penalty, f"validation_{monitored}": best}


def _logits(classifier: Classifier, features: Tensor) -> Tensor:
    head = classifier.head
    with torch.no_grad():
        return features.double() @ head.weight.detach().cpu().double().T + head.bias.detach().cpu().double()
