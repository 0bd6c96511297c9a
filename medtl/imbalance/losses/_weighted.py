"""Class weights and focusing for both kinds of task: what cross-entropy, weighted, focal and class-balanced are made of."""

from __future__ import annotations

from functools import partial

from torch import nn

from medtl.imbalance.class_weights import Array
from medtl.imbalance.losses._per_class import MeanOverKnown, focal_binary
from medtl.imbalance.losses._per_image import MeanLoss, focal_cross_entropy


def weighted_loss(class_weights: Array, label_smoothing: float, gamma: float = 0.0) -> nn.Module:
    """a · (1 - p)^gamma · cross-entropy; `class_weights` a: (K,) where an image is of one class, (K, 2) where of several."""
    if class_weights.ndim == 2:
        return MeanOverKnown(partial(focal_binary, gamma=gamma, label_smoothing=label_smoothing), class_weights)
    return MeanLoss(partial(focal_cross_entropy, gamma=gamma, label_smoothing=label_smoothing), class_weights)
