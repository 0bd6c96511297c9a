"""Minimum class confusion (Jin et al., ECCV 2020): on the target, a class shall not be taken for another.

With p = softmax(logits / temperature) (B, K), images weighed by 1 + exp(-entropy), the class correlation pᵀ W p is normalised by row; the
penalty is the mean of what stands off its diagonal. No alignment of domains: works on frozen features too, where the head alone learns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from medtl.adaptation import ONE_CLASS, SOURCE_DATA, MethodSettings

if TYPE_CHECKING:
    from torch import Tensor, nn

NEEDS = (SOURCE_DATA, ONE_CLASS)
KIND = "penalty"


class Settings(MethodSettings):
    name: Literal["mcc"] = "mcc"
    temperature: Annotated[float, Field(gt=0)] = 2.5
    """The paper's choice; larger softens what a confident network says."""


def build(settings: Settings, dim: int, classes: int, seed: int) -> nn.Module:
    """The contract of `medtl.adaptation.methods`."""
    from medtl.adaptation.penalty import Penalty

    return Penalty(lambda step: settings.weight * confusion(step.target_logits, settings.temperature))


def confusion(logits: Tensor, temperature: float) -> Tensor:
    """The class confusion of a batch (B, K), in [0, 1]."""
    log_p = (logits if logits.dtype.itemsize == 8 else logits.float()).div(temperature).log_softmax(dim=1)
    p = log_p.exp()
    certainty = 1 + (p * log_p).sum(dim=1).exp()
    weights = len(p) * certainty / certainty.sum()
    correlation = (p * weights.detach()[:, None]).T @ p
    rows = correlation / correlation.sum(dim=1, keepdim=True)
    return (rows.sum() - rows.diagonal().sum()) / p.shape[1]
