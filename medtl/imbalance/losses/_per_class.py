"""What the losses of any number of classes per image share: each class told from its absence, the unknown left out."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from medtl.imbalance.class_weights import Array
from medtl.imbalance.losses._per_image import at_least_float32, focus

PerClass = Callable[[Tensor, Tensor], Tensor]
"""(logits (B, K) float32 or float64, present (B, K) bool) -> (B, K) losses, finite."""


class MeanOverKnown(nn.Module):
    """Σ w_i a_{k, y_ik} l_ik / Σ w_i over the known entries (i, k): image weights w (default 1), class weights a (default 1).

    `class_weights` (K, 2): of an absent and of a present class k; of each class the mean over the training images is 1.
    """

    class_weights: Tensor | None

    def __init__(self, per_class: PerClass, class_weights: Array | None = None):
        super().__init__()
        self.per_class = per_class
        weights = None if class_weights is None else torch.as_tensor(class_weights, dtype=torch.float32)
        self.register_buffer("class_weights", weights, persistent=False)

    settled = True
    """It is the same in every epoch."""

    def set_progress(self, share: float) -> None:
        """Nothing depends on it."""

    def forward(self, logits: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
        """`logits` (B, K), `targets` (B, K) in {0, 1, NaN = unknown}, `weights` (B,) or None -> scalar, 0 where nothing is known."""
        precise = at_least_float32(logits)
        present = targets > 0.5  # also False where unknown, which then does not count
        losses = self.per_class(precise, present)
        if self.class_weights is not None:
            losses = losses * torch.where(present, self.class_weights[:, 1], self.class_weights[:, 0])
        counts = (~targets.isnan()).to(losses.dtype)
        if weights is not None:
            counts = counts * weights[:, None]
        return (losses * counts).sum() / counts.sum().clamp_min(torch.finfo(losses.dtype).tiny)


def focal_binary(logits: Tensor, present: Tensor, gamma: float, label_smoothing: float) -> Tensor:
    """(B, K), (B, K) bool -> (B, K) losses (1 - p_t)^gamma · binary cross-entropy, p_t the probability of what is true of the class.

    Label smoothing as among two classes: the truth has the share 1 - label_smoothing / 2; the factor stays that of the truth.
    """
    right = torch.where(present, logits, -logits)
    losses = -functional.logsigmoid(right)
    if label_smoothing:
        losses = (1 - label_smoothing / 2) * losses - label_smoothing / 2 * functional.logsigmoid(-right)
    return losses if gamma == 0 else focus(torch.sigmoid(-right), gamma) * losses
