"""Classifier re-training (cRT: Kang et al., Decoupling Representation and Classifier, ICLR 2020).

Features learn best from images as they come, the boundaries between classes from classes that weigh alike. So the network is tuned first,
whatever loss and sampler do, and then a head is fitted anew on its frozen features, with plain cross-entropy and images weighted by class.
The tuned head goes, and with it what loss and sampler had shifted; what the new head's weights shift takes its place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medtl import registry
from medtl.imbalance import ImbalanceSettings
from medtl.imbalance.class_weights import Array, log_shift


@dataclass(frozen=True)
class Retraining:
    """How the new head is fitted."""

    class_weights: Array
    """(K,): an image of class k weighs `class_weights[k]` in the fit."""
    log_prior_shift: Array
    """(K,): of the new head's logits, in place of what loss and sampler declare; exact without label smoothing."""


def retraining(settings: ImbalanceSettings, counts: Array) -> Retraining | None:
    """What `imbalance.retrain_classifier` asks for, None where it is false. `counts` (K,): training images per class.

    Raises MedtlError where a class has no training image and the chosen sampler needs one.
    """
    chosen = settings.retrain_classifier
    if not chosen:
        return None
    sampler = registry.component("imbalance.samplers", chosen.name)  # type: ignore[attr-defined]
    weights = np.asarray(sampler.class_weights(chosen, counts), np.float64)
    return Retraining(weights, log_shift(weights))
