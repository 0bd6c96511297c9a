"""Class-balanced loss: class weights by the effective number of images (Cui et al., CVPR 2019).

Every image of class k counts (1 - beta) / (1 - beta^n_k): images of a common class repeat each other, so that weights grow more slowly than
with inverse frequency. The paper scales the weights to sum to K, here their mean over the training images is 1, which moves the
learning rate and nothing else. With `gamma` the same on the focal loss (the paper's best), else on cross-entropy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from medtl import registry
from medtl.imbalance.class_weights import Array, effective_number, log_shift

if TYPE_CHECKING:
    from torch import nn

TASKS = ("single",)


class Settings(registry.Settings):
    name: Literal["class-balanced"] = "class-balanced"
    beta: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """0 = plain cross-entropy, towards 1 = inverse frequency. Classes of more than some 1 / (1 - beta) images weigh alike."""
    gamma: Annotated[float, Field(ge=0, le=10)] = 0.0
    """Focusing of the focal loss; 0 = none."""


def build(settings: Settings, counts: Array, label_smoothing: float = 0.0) -> nn.Module:
    """The contract of `medtl.imbalance.losses`; raises MedtlError where a class has no training image."""
    from medtl.imbalance.losses._weighted import weighted_loss

    return weighted_loss(effective_number(counts, settings.beta), label_smoothing, settings.gamma)


def log_prior_shift(settings: Settings, counts: Array) -> Array:
    """log of the class weights: exact with `gamma` 0 (what focusing does is left to the calibration, see the focal loss)."""
    return log_shift(effective_number(counts, settings.beta))
