"""Logit-adjusted loss (Menon et al., ICLR 2021): cross-entropy of the logits plus tau · log(training frequency of the class).

In training the network is given the classes' frequencies and need not learn them; without that gift its logits answer, with tau 1, as
if all classes were equally frequent. Unlike a class weight, which scales an image's gradient, it asks for a larger margin of rare classes.
The same paper's other form leaves training alone and adjusts the decision: that is the setting `decision.adjust`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from medtl import registry
from medtl.imbalance.class_weights import Array, refuse_empty

if TYPE_CHECKING:
    from torch import nn

TASKS = ("single",)


class Settings(registry.Settings):
    name: Literal["logit-adjusted"] = "logit-adjusted"
    tau: Annotated[float, Field(ge=0, le=4)] = 1.0
    """0 = plain cross-entropy, 1 = the logits of equally frequent classes; more = rare classes are preferred."""


def build(settings: Settings, counts: Array, label_smoothing: float = 0.0) -> nn.Module:
    """The contract of `medtl.imbalance.losses`; raises MedtlError where `tau` > 0 and a class has no training image."""
    from medtl.imbalance.losses._per_image import MeanLoss, cross_entropy

    given = -log_prior_shift(settings, counts)
    return MeanLoss(cross_entropy(label_smoothing), margins=np.tile(given, (len(given), 1)))


def log_prior_shift(settings: Settings, counts: Array) -> Array:
    """-tau · log(n_k / n): exact without label smoothing, for the adjusted logits are those of plain cross-entropy."""
    if settings.tau == 0:
        return np.zeros(len(counts))
    refuse_empty(counts)
    return np.asarray(-settings.tau * np.log(counts / counts.sum()))
