"""Asymmetric loss for images of several classes (Ridnik et al., ICCV 2021): of most classes an image has nothing, and that is easy.

A present class costs -(1 - p)^positive_focus · log p; an absent one -q^negative_focus · log(1 - q) with q = max(p - margin, 0):
absences count less the easier they are, and nothing at all below a probability of `margin`.

No prior shift is declared, for it is none that a constant undoes: with more focus on the negative side, probabilities come out too
high, the more so the lower they should be. That is left to the calibration.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from medtl import registry
from medtl.errors import MedtlError
from medtl.imbalance.class_weights import Array

if TYPE_CHECKING:
    from torch import nn

TASKS = ("multi",)


class Settings(registry.Settings):
    name: Literal["asymmetric"] = "asymmetric"
    positive_focus: Annotated[float, Field(ge=0, le=10)] = 0.0
    """How much less a present class counts that is already found; 0 = no less."""
    negative_focus: Annotated[float, Field(ge=0, le=10)] = 4.0
    """How much less an absent class counts that is already ruled out; 0 = no less."""
    margin: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Probability below which an absent class counts nothing."""


def build(settings: Settings, counts: Array, label_smoothing: float = 0.0) -> nn.Module:
    """The contract of `medtl.imbalance.losses`; raises MedtlError for a task of one class per image."""
    if counts.ndim == 1:
        raise MedtlError(
            "imbalance.loss: asymmetric is for images of several classes (task.kind: multi); for one class per image, take focal"
        )
    from medtl.imbalance.losses._asymmetric import asymmetric
    from medtl.imbalance.losses._per_class import MeanOverKnown

    own = {"positive_focus": settings.positive_focus, "negative_focus": settings.negative_focus, "margin": settings.margin}
    return MeanOverKnown(partial(asymmetric, **own, label_smoothing=label_smoothing))


def log_prior_shift(settings: Settings, counts: Array) -> Array:
    """Zero: see the module."""
    return np.zeros(len(counts))
