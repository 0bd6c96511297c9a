"""What all losses share: one value per image, class weights, and the mean over the batch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from medtl.imbalance.class_weights import Array

PerImage = Callable[[Tensor, Tensor], Tensor]
"""(logits (B, K) float32 or float64, targets (B,)) -> (B,) losses."""


class MeanLoss(nn.Module):
    """Σ w_i a_{y_i} l_i / Σ w_i, with image weights w (default 1) and class weights a (default 1).

    The class weights are not normalised inside the batch (torch's `weight=` is): their mean over the training images is 1, so
    that the expected gradient is that of the weighted risk whatever classes a small batch happens to hold.
    """

    class_weights: Tensor | None

    def __init__(self, per_image: PerImage, class_weights: Array | None = None):
        super().__init__()
        self.per_image = per_image
        weights = None if class_weights is None else torch.as_tensor(class_weights, dtype=torch.float32)
        self.register_buffer("class_weights", weights, persistent=False)

    def forward(self, logits: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
        """`logits` (B, K), `targets` (B,) int64, `weights` (B,) or None -> scalar; half precision is computed in float32."""
        losses = self.per_image(logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits, targets)
        if self.class_weights is not None:
            losses = losses * self.class_weights[targets]
        if weights is None:
            return losses.mean()
        return (losses * weights).sum() / weights.sum()
