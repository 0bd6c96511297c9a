"""The gate of a fitted classifier: which images look too unlike the training images, or are too poor, to be answered for."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from numpy.typing import NDArray

from medtl.decisions import outlyingness, quality
from medtl.decisions.precedence import Reasons
from medtl.estimates import number, percent
from medtl.features import BATCH, Frozen, cached_features, compute
from medtl.model.gate import Gate
from medtl.module.classifier import Classifier, as_input
from medtl.training.job import Job
from medtl.training.made_outliers import KINDS, made

MOST_TRAINING, MOST_OUTLIERS = 2000, 40
"""Images that the statistics are fitted on, and of which outliers are made: more would tell no more (docs/decisions/0030-gate.md)."""


def fit_gate(job: Job, classifier: Classifier, groups: NDArray[np.object_]) -> tuple[Gate | None, Reasons]:
    """Statistics from training images (a target's too, where the network was adapted to one), the measure chosen by outliers made of
    validation images, the limit from these themselves; and what speaks against answering the validation images. No gate, and nothing, with
    `decision.gate: none`.

    `groups`: (N,) of the validation images.
    """
    refuse = job.experiment.decision.gate.refuse
    if not refuse:
        return None, Reasons.none(len(job.validation))
    shown = job.train.positions if job.adapting is None else np.concatenate([job.train.positions, job.adapting.target])
    training = _features(job, classifier, _some(shown, MOST_TRAINING), job.training_precision())  # many images do not feel the rounding
    validation = _features(job, classifier, job.validation.positions)
    images, seed = job.store.read(_some(job.validation.positions, MOST_OUTLIERS)), job.experiment.seed
    chosen = outlyingness.choose(training, validation, {kind: _of_arrays(job, classifier, made(images, kind, seed)) for kind in KINDS})
    scores = chosen.detector.scores(validation)
    limit = outlyingness.limit(scores, groups, refuse)
    limits = quality.limits(job.store.measurements.iloc[shown], job.experiment.image.size)
    gate = Gate(chosen.detector, limit, refuse, chosen.aurocs, limits)
    reached = chosen.aurocs[chosen.detector.method]
    hardest = min(reached, key=lambda kind: reached[kind])
    job.line.keep(
        f"gate  {chosen.detector.method}: of groups like the {limit.groups:,} of validation at most {percent(limit.expected)} are refused "
        f"in the mean; made outliers AUROC {number(min(reached.values()))} ({hardest}) to {number(max(reached.values()))}"
    )
    job.log.event("gate", method=chosen.detector.method, limit=limit.value, expected=limit.expected, aurocs=chosen.aurocs)
    return gate, _reasons(job, gate, scores, job.validation.positions)


def looks(train: int, validation: int) -> int:
    """Images that the network runs on for a gate, of so many; fewer where their features are at hand already."""
    return min(train, MOST_TRAINING) + validation + len(KINDS) * min(validation, MOST_OUTLIERS)


def reasons_of(job: Job, classifier: Classifier, gate: Gate | None, positions: NDArray[np.intp]) -> Reasons:
    """What speaks against answering the images at `positions` of the store."""
    if gate is None:
        return Reasons.none(len(positions))
    return _reasons(job, gate, gate.detector.scores(_features(job, classifier, positions)), positions)


def _reasons(job: Job, gate: Gate, scores: NDArray[np.float64], positions: NDArray[np.intp]) -> Reasons:
    found = Reasons.none(len(positions))
    found.unlike = gate.unlike(scores)
    found.quality = [gate.poor(row) for row in job.store.measurements.iloc[positions].to_dict("records")]
    return found


def _some(positions: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """At most so many, evenly over all."""
    return positions if len(positions) <= most else positions[np.linspace(0, len(positions) - 1, most).astype(np.int64)]


def _features(
    job: Job, classifier: Classifier, positions: NDArray[np.int64], precision: AbstractContextManager[object] | None = None
) -> NDArray[np.float64]:
    """(N, D) of stored images, not mirrored. Those of a network that was not tuned are in the cache, always exact; others would only
    fill it, and are computed in this `precision`."""
    network = classifier.network
    if not job.experiment.transfer.tuned:
        return cached_features(network, job.store, positions, job.device, job.cache, job.line.progress("gate")).double().numpy()
    frozen = Frozen(network.features, network, (network.dim,))
    with precision or nullcontext():
        return compute(frozen, job.store, positions, job.device, job.line.progress("gate")).astype(np.float64)


def _of_arrays(job: Job, classifier: Classifier, images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(N, D) of images that no store holds."""
    classifier.network.eval()
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        parts = [
            classifier.network.features(as_input(torch.from_numpy(images[start : start + BATCH]).to(job.device)))
            for start in range(0, len(images), BATCH)
        ]
    return torch.cat(parts).double().cpu().numpy()
