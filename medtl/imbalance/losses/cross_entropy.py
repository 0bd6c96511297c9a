"""Plain cross-entropy, with label smoothing (Szegedy et al., CVPR 2016) from the transfer settings.

Where an image may be of several classes: binary cross-entropy of each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from medtl import registry
from medtl.imbalance.class_weights import Array

if TYPE_CHECKING:
    from torch import nn

TASKS = ("single", "multi")


class Settings(registry.Settings):
    name: Literal["cross-entropy"] = "cross-entropy"


def build(settings: Settings, counts: Array, label_smoothing: float = 0.0) -> nn.Module:
    """The contract of `medtl.imbalance.losses`."""
    from medtl.imbalance.losses._weighted import weighted_loss

    return weighted_loss(np.ones_like(counts), label_smoothing)


def log_prior_shift(settings: Settings, counts: Array) -> Array:
    """None: the Bayes-optimal logits are those of the training prior."""
    return np.zeros(len(counts))
