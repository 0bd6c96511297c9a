"""From a packaged model and newly labelled images to the model trained further, calibrated anew."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from medtl.module.classifier import Classifier
from medtl.training.fit import Fitted, calibrate
from medtl.training.job import Job


@dataclass(frozen=True)
class Further:
    """Where a training goes on from, and how it is kept from forgetting."""

    package: Path
    member: int = 0
    """Which of its networks."""
    distillation: float = 0.0
    """Weight of what the packaged model said of the same images; see `medtl.module.distilled_module`."""
    temperature: float = 2.0


def fit_further(job: Job) -> Fitted:
    """Fine-tune from the weights and the head of `job.further`; calibration and threshold by the job's validation images alone.

    The packaged model itself is judged on them as epoch 0, and kept where no epoch is better.
    """
    from medtl.training.finetune import finetune  # brings Lightning with it
    from medtl.training.frozen import batches

    classifier = _begin(job)
    history: dict[str, Any] = {"weights": classifier.network.provenance}
    history["tuned"] = finetune(job, classifier, batches(job, classifier)).history(job.experiment.transfer)
    logits, shift = job.validation_logits(classifier), job.balanced.prior_shift
    decided = calibrate(job.experiment, logits[None], shift, job.validation.targets)
    return Fitted(classifier, shift, decided.calibration, decided.threshold, decided.rule, logits, history, decided.prevalence)


def _begin(job: Job) -> Classifier:
    """The packaged network and head. What its loss and sampler added to the logits is taken off the head's bias."""
    from medtl.model.model import Model

    assert job.further is not None
    model = Model.load(job.further.package, "cpu")
    classifier: Classifier = model.members[job.further.member]
    classifier.dropout = nn.Dropout(job.experiment.transfer.dropout)
    shift = np.subtract(job.balanced.prior_shift, model.package.prior_shift[job.further.member])
    with torch.no_grad():
        classifier.head.bias.add_(torch.from_numpy(np.repeat(shift, classifier.outputs)).to(classifier.head.bias.dtype))
    weights = model.package.weights[job.further.member].sha256
    classifier.network.provenance = {"source": "package", "package": model.package.name, "sha256": weights}
    return classifier.to(device=job.device, memory_format=torch.channels_last)
