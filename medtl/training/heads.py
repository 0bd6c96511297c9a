"""Linear heads on features of frozen layers: the linear probe, its answers, and the classifier that is fitted anew after tuning."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from medtl.adaptation.statistics import re_estimate
from medtl.features import View, mirrored
from medtl.imbalance.losses import cross_entropy
from medtl.imbalance.retraining import retraining
from medtl.module.classifier import Classifier, of_classes
from medtl.training.balance import Balance, centred
from medtl.training.job import Job
from medtl.training.norms import StoredBatches, learning_norms
from medtl.training.probe import Probe, fit_probe
from medtl.training.weights import load_weights, save_weights


def probe(job: Job, classifier: Classifier) -> dict[str, Any]:
    """Fit the head on features computed once; a head that an interrupted run had finished is taken as it stands."""
    return _probed(job, classifier, "probe", "linear probe")


def probe_by_own_statistics(job: Job, classifier: Classifier) -> None:
    """Give the batch norms that will learn the training images' statistics, and the network a head fitted to what it makes of these.

    Fine-tuning shows such norms the statistics of its batches. A head that was fitted to features by those of ImageNet meets others in the
    first step and drives the network away from what fits (docs/decisions/0056-norms-and-probe.md). Without such norms nothing changes.
    """
    norms = learning_norms(job.experiment.transfer, classifier)
    if norms:
        re_estimate(classifier.network, norms, StoredBatches(job, job.train.positions))
        _probed(job, classifier, "begun", "head for the images' own statistics")


def _probed(job: Job, classifier: Classifier, event: str, said: str) -> dict[str, Any]:
    file = job.folder / f"{event}.safetensors"
    fitted = _fit(job, classifier, job.balanced, job.training_views())
    if file.exists():
        load_weights(classifier, file)
    else:
        fitted.apply_to(classifier.head)
        save_weights(classifier, file)
    return _said(job, fitted, event, said)


def retrain(job: Job, classifier: Classifier) -> tuple[Balance, dict[str, Any]] | None:
    """Classifier re-training: a new head on the features of the tuned network, where `imbalance.retrain_classifier` asks for it.

    Returns what the new head's weights shift, in place of what loss and sampler did, and the fit's history.
    """
    experiment = job.experiment
    again = retraining(experiment.imbalance, job.balanced.counts)
    if again is None:
        return None
    balanced = dataclasses.replace(
        job.balanced,
        loss=cross_entropy.build(cross_entropy.Settings(), job.balanced.counts, experiment.transfer.label_smoothing),
        weights=again.class_weights[job.train.targets] if experiment.task.kind == "single" else None,
        prior_shift=centred(again.log_prior_shift),
    )
    fitted = _fit(job, classifier, balanced, [mirrored(())])
    fitted.apply_to(classifier.head)
    return balanced, _said(job, fitted, "retrained", "classifier re-trained")


def probed_logits(job: Job, classifier: Classifier) -> NDArray[np.float64]:
    """(N, K) the head's logits on validation features, the mean over mirror images; the plain view is there from fitting it."""
    with torch.inference_mode():
        classifier.eval()
        views = [classifier.classify(job.features(classifier, job.validation, mirrored(axes)).to(job.device)) for axes in classifier.views]
        logits: NDArray[np.float64] = torch.stack(views).mean(dim=0).double().cpu().numpy()
    return logits


def _fit(job: Job, classifier: Classifier, balanced: Balance, views: list[View]) -> Probe:
    experiment, classes = job.experiment, len(job.experiment.task.learned)
    weights = balanced.weights
    fitted = fit_probe(
        torch.cat([job.features(classifier, job.train, view) for view in views]),
        torch.from_numpy(np.concatenate([job.train.targets] * len(views))),
        None if weights is None else torch.from_numpy(np.tile(weights, len(views))),
        balanced.loss.double(),
        experiment.transfer.probe_penalty,
        (job.features(classifier, job.validation), job.validation.targets),
        experiment.transfer.monitor,
        classes,
        experiment.task.positive_index,
        lambda logits: of_classes(logits, classifier.outputs) - torch.tensor(balanced.prior_shift, dtype=logits.dtype),
        classifier.network.dims,
    )
    balanced.loss.float()
    return fitted


def _said(job: Job, fitted: Probe, event: str, what: str) -> dict[str, Any]:
    monitored = job.experiment.transfer.monitor
    best = fitted.scores[fitted.penalty]
    job.log.event(event, penalty=fitted.penalty, scores={str(penalty): score for penalty, score in fitted.scores.items()})
    job.line.keep(f"{what}  validation {monitored} {best:.4f} (penalty {fitted.penalty:g})")
    return {"penalty": fitted.penalty, f"validation_{monitored}": best}
