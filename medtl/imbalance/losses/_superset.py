"""Cross-entropy where some labels name the class alone, and not which of its finer outputs it is.

The negative logarithm of the summed probabilities of all outputs that the label allows (Jin & Ghahramani, NIPS 2002); of one
output it is cross-entropy. It says nothing of how the class's outputs share what they have together.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from medtl.imbalance.losses._per_image import MeanLoss


class SupersetLoss(MeanLoss):
    """Logits (B, L) of L outputs, class after class so many as `outputs` (K,) says; targets (B,) int64: an output, or L + k for class k."""

    allowed: Tensor

    def __init__(self, outputs: Sequence[int]):
        super().__init__(self._of_allowed)
        count = sum(outputs)
        owner = torch.repeat_interleave(torch.arange(len(outputs)), torch.tensor(outputs))
        each, of_class = torch.eye(count, dtype=torch.bool), owner == torch.arange(len(outputs))[:, None]
        self.register_buffer("allowed", torch.cat([each, of_class]), persistent=False)

    def _of_allowed(self, logits: Tensor, targets: Tensor) -> Tensor:
        log_p = torch.log_softmax(logits, dim=1)
        return -torch.logsumexp(log_p.masked_fill(~self.allowed[targets], -torch.inf), dim=1)
