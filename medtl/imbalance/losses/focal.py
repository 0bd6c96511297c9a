"""Focal loss: easy images count less (Lin et al., ICCV 2017): a_y · (1 - p_y)^gamma · cross-entropy.

`power` gives the class weights a (Lin's alpha) by inverse frequency, as in the weighted loss; 0 = none. Only these shift the
prior and are declared. The focusing factor pulls probabilities towards the middle without preferring a class (the argmax
stays Bayes-optimal, the probabilities do not: Charoenphakdee et al., CVPR 2021), which is left to the calibration. With focusing,
what the weights shift is exact only where the weighted classes are equally probable.

Where an image may be of several classes, each class by itself, as Lin wrote it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from medtl import registry
from medtl.imbalance.class_weights import Array, inverse_frequency, log_shift

if TYPE_CHECKING:
    from torch import nn

TASKS = ("single", "multi")


class Settings(registry.Settings):
    name: Literal["focal"] = "focal"
    gamma: Annotated[float, Field(ge=0, le=10)] = 2.0
    """0 = cross-entropy; the larger, the less the images that are already right count."""
    power: Annotated[float, Field(ge=0, le=2)] = 0.0
    """Class weights (n / (K · n_k))^power; 0 = none, 1 = every class weighs the same in total."""


def build(settings: Settings, counts: Array, label_smoothing: float = 0.0) -> nn.Module:
    """The contract of `medtl.imbalance.losses`; raises MedtlError where `power` > 0 and a class has no training image."""
    from medtl.imbalance.losses._weighted import weighted_loss

    return weighted_loss(inverse_frequency(counts, settings.power), label_smoothing, settings.gamma)


def log_prior_shift(settings: Settings, counts: Array) -> Array:
    """log a_k of the class weights; zero with `power` 0."""
    return log_shift(inverse_frequency(counts, settings.power))
