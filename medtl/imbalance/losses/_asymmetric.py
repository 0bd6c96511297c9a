"""The formula of the asymmetric loss, stable for any finite logit."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from medtl.imbalance.losses._per_image import focus


def asymmetric(
    logits: Tensor, present: Tensor, positive_focus: float, negative_focus: float, margin: float, label_smoothing: float
) -> Tensor:
    """(B, K), (B, K) bool -> (B, K) losses. With label smoothing the other side's loss has the share label_smoothing / 2."""
    found, absent = -functional.logsigmoid(logits), -functional.logsigmoid(-logits)
    if positive_focus:
        found = found * focus(torch.sigmoid(-logits), positive_focus)
    if margin:  # log(1 - q) = log(min(1 - p + margin, 1))
        absent = -torch.logaddexp(-absent, torch.full_like(absent, math.log(margin))).clamp_max(0)
    if negative_focus:
        absent = absent * focus(torch.sigmoid(logits) - margin, negative_focus)
    truth = present.to(logits.dtype) * (1 - label_smoothing) + label_smoothing / 2
    return truth * found + (1 - truth) * absent
