"""What a penalty is shown in every training step."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor


class Step(NamedTuple):
    """Features (B, D) and logits (B, K) of both batches, from one pass; the sizes B may differ."""

    features: Tensor | None
    logits: Tensor | None
    """Both of the source; None where source data are not shown."""
    target_features: Tensor
    target_logits: Tensor
    places: Tensor
    """(B,) int64: which of the target's training images these are, as `relabel` counts them."""
    progress: float
    """Of all training steps, in [0, 1)."""
