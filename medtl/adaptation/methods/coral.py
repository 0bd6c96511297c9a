"""Deep CORAL: features of both domains shall vary alike (Sun & Saenko, ECCV 2016 Workshops).

`weight · ||C_S - C_T||²_F / (4 D²)` with the covariances C (D, D) of both batches' features. Made for shifts of spread and correlation; it
does not look at means, and cannot tell the classes apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from medtl.adaptation import SOURCE_DATA, TRAINABLE, MethodSettings

if TYPE_CHECKING:
    from torch import Tensor, nn

    from medtl.adaptation.step import Step

NEEDS = (TRAINABLE, SOURCE_DATA)
KIND = "penalty"


class Settings(MethodSettings):
    name: Literal["coral"] = "coral"
    weight: Annotated[float, Field(ge=0)] = 1.0
    """Of the penalty. It is small beside the loss where features are many or small: the paper chose the weight that made both alike."""


def build(settings: Settings, dim: int, classes: int, seed: int) -> nn.Module:
    """The contract of `medtl.adaptation.methods`."""
    from medtl.adaptation.penalty import Penalty

    def penalty(step: Step) -> Tensor:
        assert step.features is not None
        return settings.weight * distance(step.features.float(), step.target_features.float())

    return Penalty(penalty)


def distance(source: Tensor, target: Tensor) -> Tensor:
    """The squared Frobenius distance of the covariances of (A, D) and (B, D), over 4 D²."""
    return (_covariance(source) - _covariance(target)).square().sum() / (4 * source.shape[1] ** 2)


def _covariance(features: Tensor) -> Tensor:
    centred = features - features.mean(dim=0)
    return centred.T @ centred / max(1, len(features) - 1)
