"""Images are drawn by the inverse effective number of their class (Cui et al., CVPR 2019): the class-balanced loss as a sampler.

Classes of more than some 1 / (1 - beta) images keep their natural proportions, rarer ones are brought up towards the same frequency.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from medtl import registry
from medtl.imbalance.class_weights import Array, effective_number

TASKS = ("single",)


class Settings(registry.Settings):
    name: Literal["effective-number"] = "effective-number"
    beta: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """0 = natural frequencies, towards 1 = every class equally often."""


def class_weights(settings: Settings, counts: Array) -> Array:
    """(1 - beta) / (1 - beta^n_k), scaled: the contract of `medtl.imbalance.samplers`; raises MedtlError where a class has no image."""
    return effective_number(counts, settings.beta)
