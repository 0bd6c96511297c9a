"""Focal loss: easy images count less (Lin et al., ICCV 2017): a_y · (1 - p_y)^gamma · cross-entropy.

`power` gives the class weights a (Lin's alpha) by inverse frequency, as in the weighted loss; 0 = none. Only these shift the
prior and are declared. The focusing factor pulls probabilities towards the middle without preferring a class (the argmax
stays Bayes-optimal, the probabilities do not: Charoenphakdee et al., CVPR 2021), which is left to the calibration.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from medtl import registry
from medtl.imbalance.class_weights import Array, inverse_frequency

if TYPE_CHECKING:
    from torch import Tensor, nn


class Settings(registry.Settings):
    name: Literal["focal"] = "focal"
    gamma: Annotated[float, Field(ge=0, le=10)] = 2.0
    """0 = cross-entropy; the larger, the less the images that are already right count."""
    power: Annotated[float, Field(ge=0, le=2)] = 0.0
    """Class weights (n / (K · n_k))^power; 0 = none, 1 = every class weighs the same in total."""


def focal_cross_entropy(logits: Tensor, targets: Tensor, gamma: float, label_smoothing: float) -> Tensor:
    """(B, K), (B,) -> (B,) focal losses. With label smoothing the factor stays that of the labelled class."""
    import torch
    from torch.nn import functional

    losses = functional.cross_entropy(logits, targets, reduction="none", label_smoothing=label_smoothing)
    if gamma == 0:
        return losses
    log_p = functional.log_softmax(logits, dim=1).gather(1, targets[:, None]).squeeze(1)
    # 1 - p without cancellation; kept above 0, where the gradient of a power below 1 is infinite.
    return (-torch.expm1(log_p)).clamp_min(torch.finfo(log_p.dtype).eps) ** gamma * losses


def build(settings: Settings, counts: Array, label_smoothing: float = 0.0) -> nn.Module:
    """The contract of `medtl.imbalance.losses`; raises MedtlError where `power` > 0 and a class has no training image."""
    from medtl.imbalance.losses._per_image import MeanLoss

    per_image = partial(focal_cross_entropy, gamma=settings.gamma, label_smoothing=label_smoothing)
    return MeanLoss(per_image, inverse_frequency(counts, settings.power))


def log_prior_shift(settings: Settings, counts: Array) -> Array:
    """log a_k of the class weights; zero with `power` 0."""
    return np.asarray(np.log(inverse_frequency(counts, settings.power)))
