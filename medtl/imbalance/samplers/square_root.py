"""Classes are drawn in proportion to the square root of their frequency (Mahajan et al., ECCV 2018; of words Mikolov et al., NeurIPS 2013).

Half-way, on a logarithmic scale, between natural and balanced: the sampler `balanced` with power 0.5, under the name people look for.
"""

from __future__ import annotations

from typing import Literal

from medtl import registry
from medtl.imbalance.class_weights import Array, inverse_frequency

TASKS = ("single",)


class Settings(registry.Settings):
    name: Literal["square-root"] = "square-root"


def class_weights(settings: Settings, counts: Array) -> Array:
    """(n / (K · n_k))^0.5, scaled: the contract of `medtl.imbalance.samplers`; raises MedtlError where a class has no image."""
    return inverse_frequency(counts, 0.5)
