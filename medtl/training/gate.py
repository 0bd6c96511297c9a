"""The gate of a fitted classifier: which images look too unlike the training images, or are too poor, to be answered for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from medtl.decisions import outlyingness, quality
from medtl.decisions.precedence import Reasons
from medtl.decisions.settings import GateSettings
from medtl.features import BATCH, Frozen, compute
from medtl.model.gate import Gate
from medtl.module.classifier import Classifier, as_input
from medtl.training.job import Job
from medtl.training.made_outliers import KINDS, made

MOST_TRAINING, MOST_OUTLIERS = 2000, 100
"""Images that the statistics are fitted on, and of which outliers are made: more would cost time and tell no more."""


@dataclass(frozen=True)
class Gated:
    """A gate, and how unlike the training images those of validation are."""

    gate: Gate
    scores: NDArray[np.float64]
    """(N,)"""

    def reasons(self, measured: pd.DataFrame) -> Reasons:
        """What speaks against answering the validation images, which have these measurements."""
        found = Reasons.none(len(self.scores))
        found.unlike = self.gate.unlike(self.scores)
        found.quality = [self.gate.poor(row) for row in measured.to_dict("records")]
        return found


def fit_gate(job: Job, classifier: Classifier, groups: NDArray[np.object_], settings: GateSettings) -> Gated:
    """Statistics from training images, the measure chosen by outliers made of validation images, the limit from these themselves.

    `groups`: (N,) of the validation images.
    """
    job.line.show("gate …")
    training = features(job, classifier, _some(job.train.positions, MOST_TRAINING))
    validation = features(job, classifier, job.validation.positions)
    images = job.store.read(_some(job.validation.positions, MOST_OUTLIERS))
    seed = job.experiment.seed
    chosen = outlyingness.choose(training, validation, {kind: _of_arrays(job, classifier, made(images, kind, seed)) for kind in KINDS})
    scores = chosen.detector.scores(validation)
    limit = outlyingness.limit(scores, groups, settings.refuse)
    measured = job.store.measurements.iloc[job.train.positions]
    limits = quality.limits(measured, job.experiment.image.size)
    gate = Gate(chosen.detector, limit, settings.refuse, chosen.aurocs, limits)
    job.log.event("gate", method=chosen.detector.method, limit=limit.value, expected=limit.expected, aurocs=chosen.aurocs)
    return Gated(gate, scores)


def _some(positions: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """At most so many, evenly over all."""
    return positions if len(positions) <= most else positions[np.linspace(0, len(positions) - 1, most).astype(np.int64)]


def features(job: Job, classifier: Classifier, positions: NDArray[np.int64]) -> NDArray[np.float64]:
    """(N, D) of stored images, not mirrored. Those of a network that was not tuned are in the cache; others would only fill it."""
    network = classifier.network
    if not job.experiment.transfer.tuned:
        from medtl.features import cached_features

        return cached_features(network, job.store, positions, job.device, job.cache, job.line.progress("gate")).double().numpy()
    frozen = Frozen(network.features, network, (network.dim,))
    return compute(frozen, job.store, positions, job.device, job.line.progress("gate")).astype(np.float64)


def _of_arrays(job: Job, classifier: Classifier, images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(N, D) of images that no store holds."""
    classifier.network.eval()
    with torch.inference_mode():
        parts = [
            classifier.network.features(as_input(torch.from_numpy(images[start : start + BATCH]).to(job.device)))
            for start in range(0, len(images), BATCH)
        ]
    return torch.cat(parts).double().cpu().numpy()
