"""AdaBN: batch norms with the target's own statistics (Li et al., Pattern Recognition 2018; arXiv 1603.04779, 2017).

Means and variances of every batch norm are re-estimated on the target's training images; no weight changes. It mends a shift that moves
and scales what channels see, as another device or exposure does, and costs one pass over the images.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from medtl.adaptation import BATCH_NORM, MethodSettings

if TYPE_CHECKING:
    from torch import Tensor, nn

NEEDS = (BATCH_NORM,)
KIND = "statistics"


class Settings(MethodSettings):
    name: Literal["adabn"] = "adabn"
    weight: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Share of the target's statistics, the rest being the source's."""


def build(settings: Settings, network: nn.Module, batches: Iterable[Tensor]) -> None:
    """The contract of `medtl.adaptation.methods`; the network is left in evaluation mode."""
    from medtl.adaptation.statistics import norms_of, re_estimate

    re_estimate(network, norms_of(network), batches, settings.weight)
