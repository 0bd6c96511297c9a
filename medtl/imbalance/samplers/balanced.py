"""Images of rare classes are drawn more often, with replacement (He and Garcia, IEEE TKDE 2009, random over-sampling).

An epoch still has as many draws as training images. With power 1 every class is drawn equally often.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from medtl import registry
from medtl.imbalance.class_weights import Array, inverse_frequency

TASKS = ("single",)


class Settings(registry.Settings):
    name: Literal["balanced"] = "balanced"
    power: Annotated[float, Field(ge=0, le=2)] = 1.0
    """0 = natural frequencies, 1 = every class equally often, 0.5 = in between (square root sampling)."""


def class_weights(settings: Settings, counts: Array) -> Array:
    """(n / (K · n_k))^power: the contract of `medtl.imbalance.samplers`; raises MedtlError where a class has no image."""
    return inverse_frequency(counts, settings.power)
