"""Cross-entropy with class weights of inverse frequency (King and Zeng, Political Analysis 2001; scikit-learn's "balanced").

Every image of class k counts w_k = n / (K · n_k), raised to `power`: as if the classes were equally frequent (power 1).
The Bayes-optimal logits are then raised by log w_k, which is declared as the prior shift and undone after training.

Where an image may be of several classes, each is weighted against its own absence: a present class counts
(negatives / positives)^power times what an absent one does (torch's `pos_weight`), and both together what they did before.
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
    name: Literal["weighted"] = "weighted"
    power: Annotated[float, Field(ge=0, le=2)] = 1.0
    """0 = plain cross-entropy, 1 = every class weighs the same in total, 0.5 = in between."""


def build(settings: Settings, counts: Array, label_smoothing: float = 0.0) -> nn.Module:
    """The contract of `medtl.imbalance.losses`; raises MedtlError where a class has no training image."""
    from medtl.imbalance.losses._weighted import weighted_loss

    return weighted_loss(inverse_frequency(counts, settings.power), label_smoothing)


def log_prior_shift(settings: Settings, counts: Array) -> Array:
    """log w_k: exact without label smoothing (whose own flattening is left to the temperature)."""
    return log_shift(inverse_frequency(counts, settings.power))
