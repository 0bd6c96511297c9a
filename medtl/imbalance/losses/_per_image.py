"""What the losses of one class per image share: margins, one value per image, class weights, and the mean over the batch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from medtl.imbalance.class_weights import Array

PerImage = Callable[[Tensor, Tensor], Tensor]
"""(logits (B, K) float32 or float64, targets (B,)) -> (B,) losses."""


class MeanLoss(nn.Module):
    """Σ w_i a_{y_i} l(f_i + m_{y_i}, y_i) / Σ w_i: image weights w (default 1), class weights a (default 1), margins m (default 0).

    The class weights are not normalised inside the batch (torch's `weight=` is): their mean over the training images is 1, so
    that the expected gradient is that of the weighted risk whatever classes a small batch happens to hold. They count from the
    progress `deferred` on (see :meth:`set_progress`). `margins` (K, K): row y is added to the logits of an image of class y.
    """

    class_weights: Tensor | None
    margins: Tensor | None

    def __init__(self, per_image: PerImage, class_weights: Array | None = None, margins: Array | None = None, deferred: float = 0.0):
        super().__init__()
        self.per_image = per_image
        self.deferred = deferred
        self.progress = 1.0
        for name, values in (("class_weights", class_weights), ("margins", margins)):
            self.register_buffer(name, None if values is None else torch.as_tensor(values, dtype=torch.float32), persistent=False)

    def set_progress(self, share: float) -> None:
        """How much of the training's epochs lies behind, in [0, 1]; from the epoch's number alone."""
        self.progress = share

    @property
    def settled(self) -> bool:
        """Whether the loss is in its final phase, which its declared prior shift belongs to."""
        return self.progress >= self.deferred

    def forward(self, logits: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
        """`logits` (B, K), `targets` (B,) int64, `weights` (B,) or None -> scalar; half precision is computed in float32."""
        precise = at_least_float32(logits)
        losses = self.per_image(precise if self.margins is None else precise + self.margins[targets], targets)
        if self.class_weights is not None and self.settled:
            losses = losses * self.class_weights[targets]
        if weights is None:
            return losses.mean()
        return (losses * weights).sum() / weights.sum()


def at_least_float32(logits: Tensor) -> Tensor:
    """Half precision as float32, all else as it is."""
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits


def cross_entropy(label_smoothing: float) -> PerImage:
    """Cross-entropy per image."""
    return partial(functional.cross_entropy, reduction="none", label_smoothing=label_smoothing)


def focal_cross_entropy(logits: Tensor, targets: Tensor, gamma: float, label_smoothing: float) -> Tensor:
    """(B, K), (B,) -> (B,) losses (1 - p_y)^gamma · cross-entropy. With label smoothing the factor stays that of the labelled class."""
    losses = functional.cross_entropy(logits, targets, reduction="none", label_smoothing=label_smoothing)
    if gamma == 0:
        return losses
    log_p = functional.log_softmax(logits, dim=1).gather(1, targets[:, None]).squeeze(1)
    return focus(-torch.expm1(log_p), gamma) * losses  # 1 - p without cancellation


def focus(share: Tensor, gamma: float) -> Tensor:
    """`share` in [0, 1] to the power gamma ≥ 0; kept above 0, where the gradient of a power below 1 is infinite."""
    return share.clamp_min(torch.finfo(share.dtype).eps) ** gamma
