"""Label-distribution-aware margins with deferred re-weighting, LDAM-DRW (Cao et al., NeurIPS 2019).

An image's true class k has to win by a margin of `max_margin` · (n_min / n_k)^(1/4): the rarer, the wider. Late in training, when features
are learned, class weights by effective number set in. The paper takes logits as s · cosine, with margins up to 0.5 below
cosines and s = 30. The head here is linear: it learns its own scale, which a fixed s would only double. So the margin stands in logits
(the paper's s · 0.5), and its default is as large a part of the logits that such a head reaches as the paper's is of -s … s.

The weights shift the prior and are declared. The margins do not: to first order they raise the Bayes-optimal logit of class k for an
image x by p(k | x) · margin_k, which no constant undoes. That pushes probabilities apart and is left to the calibration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from medtl import registry
from medtl.imbalance.class_weights import Array, effective_number, log_shift, refuse_empty

if TYPE_CHECKING:
    from torch import nn

TASKS = ("single",)


class Settings(registry.Settings):
    name: Literal["ldam"] = "ldam"
    max_margin: Annotated[float, Field(ge=0, le=20)] = 2.0
    """Of the rarest class, in logits; 0 = none."""
    drw: Annotated[float, Field(ge=0, le=1)] = 0.8
    """Share of the epochs after which the class weights set in: 0 = from the start, 1 = in the last epoch alone."""
    beta: Annotated[float, Field(ge=0, lt=1)] = 0.9999
    """Of the class weights (see the class-balanced loss); 0 = none."""


def build(settings: Settings, counts: Array, label_smoothing: float = 0.0) -> nn.Module:
    """The contract of `medtl.imbalance.losses`; raises MedtlError where a class has no training image."""
    from medtl.imbalance.losses._per_image import MeanLoss, cross_entropy

    weights = effective_number(counts, settings.beta)
    return MeanLoss(cross_entropy(label_smoothing), weights, np.diag(-margins(counts, settings.max_margin)), settings.drw)


def margins(counts: Array, largest: float) -> Array:
    """(K,) margins ∝ n_k^(-1/4), the rarest class's being `largest`."""
    if largest == 0:
        return np.zeros(len(counts))
    refuse_empty(counts)
    return np.asarray(largest * (counts.min() / counts) ** 0.25)


def log_prior_shift(settings: Settings, counts: Array) -> Array:
    """log of the class weights that count in the final phase: exact without margins."""
    return log_shift(effective_number(counts, settings.beta))
