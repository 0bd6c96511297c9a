"""Balanced softmax (Ren et al., NeurIPS 2020): cross-entropy of n_k · exp(f_k) / Σ_j n_j · exp(f_j), n_k training images of class k.

That is the logit-adjusted loss with tau 1, derived another way: log n_k and log(n_k / n) differ by the same number for all
classes, which a softmax does not see. It has a name of its own because people look for it; the code is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from medtl import registry
from medtl.imbalance.class_weights import Array
from medtl.imbalance.losses import logit_adjusted

if TYPE_CHECKING:
    from torch import nn

TASKS = ("single",)
_SAME = logit_adjusted.Settings(tau=1.0)


class Settings(registry.Settings):
    name: Literal["balanced-softmax"] = "balanced-softmax"


def build(settings: Settings, counts: Array, label_smoothing: float = 0.0) -> nn.Module:
    """The contract of `medtl.imbalance.losses`; raises MedtlError where a class has no training image."""
    return logit_adjusted.build(_SAME, counts, label_smoothing)


def log_prior_shift(settings: Settings, counts: Array) -> Array:
    """-log(n_k / n): exact without label smoothing."""
    return logit_adjusted.log_prior_shift(_SAME, counts)
