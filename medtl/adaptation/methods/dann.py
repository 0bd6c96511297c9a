"""DANN: features in which a discriminator cannot tell the domains apart (Ganin et al., JMLR 2016).

A small network learns to tell source from target by the features; its gradient reaches these reversed, times `weight` and a ramp
`2 / (1 + exp(-10 · progress)) - 1`. It aligns means and shapes; where classes are mixed differently in the two domains it can align the
wrong ones.
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
    name: Literal["dann"] = "dann"
    hidden: Annotated[int, Field(ge=1)] = 256
    """Units of the discriminator's hidden layer."""


def build(settings: Settings, dim: int, classes: int, seed: int) -> nn.Module:
    """The contract of `medtl.adaptation.methods`."""
    import torch

    from medtl.adaptation.adversary import discriminator, ramp, reversed_gradient, told_apart
    from medtl.adaptation.penalty import Penalty

    learner = discriminator(dim, settings.hidden, seed)

    def penalty(step: Step) -> Tensor:
        assert step.features is not None
        features = torch.cat([step.features, step.target_features]).float()
        told = learner(reversed_gradient(features, settings.weight * ramp(step.progress)))
        return told_apart(told[: len(step.features)], told[len(step.features) :])

    return Penalty(penalty, learner)
