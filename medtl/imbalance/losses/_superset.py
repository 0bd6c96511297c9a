"""Cross-entropy where some labels name the class alone, and not which of its finer outputs it is.

The negative logarithm of the summed probabilities of all outputs that the label allows (Jin & Ghahramani, NIPS 2002); of one
output it is cross-entropy. It asks nothing of how the class's outputs share what they have together, so their logits are moved
alike: the plain gradient would move the larger ones more, and shares would drift towards them for no reason in the labels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

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
        allowed = self.allowed[targets]
        own, others = (torch.logsumexp(logits.masked_fill(~side, -torch.inf), dim=1) for side in (allowed, ~allowed))
        alike = (logits * allowed).sum(dim=1) / allowed.sum(dim=1)
        own = alike + (own - alike).detach()  # the value of the one, the gradient of the other
        return functional.softplus(others - own)
