"""Plain cross-entropy, with label smoothing (Szegedy et al., CVPR 2016) from the transfer settings."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from medtl import registry
from medtl.imbalance.class_weights import Array

if TYPE_CHECKING:
    from torch import nn


class Settings(registry.Settings):
    name: Literal["cross-entropy"] = "cross-entropy"


def build(settings: Settings, counts: Array, label_smoothing: float = 0.0) -> nn.Module:
    """The contract of `medtl.imbalance.losses`."""
    from torch.nn import functional

    from medtl.imbalance.losses._per_image import MeanLoss

    return MeanLoss(partial(functional.cross_entropy, reduction="none", label_smoothing=label_smoothing))


def log_prior_shift(settings: Settings, counts: Array) -> Array:
    """None: the Bayes-optimal logits are those of the training prior."""
    return np.zeros(len(counts))
