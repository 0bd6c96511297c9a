"""DANN: features in which a discriminator cannot tell the domains apart (Ganin et al., JMLR 2016).

A small network learns to tell source from target by the features; its gradient reaches these reversed, times `weight` and a ramp
`2 / (1 + exp(-10 · progress)) - 1`. It aligns means and shapes; where classes are mixed differently in the two domains it can align the
wrong ones.
"""

from __future__ import annotations

import math
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
    from torch import nn
    from torch.nn.functional import binary_cross_entropy_with_logits as loss

    from medtl.adaptation.penalty import Penalty

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        discriminator = nn.Sequential(nn.Linear(dim, settings.hidden), nn.ReLU(), nn.Linear(settings.hidden, 1))

    def penalty(step: Step) -> Tensor:
        assert step.features is not None
        features = torch.cat([step.features, step.target_features]).float()
        domain = torch.cat([torch.ones(len(step.features)), torch.zeros(len(step.target_features))]).to(features.device)
        told = discriminator(reversed_gradient(features, settings.weight * ramp(step.progress))).squeeze(1)
        sides = [told[domain == side] for side in (0, 1)]  # each domain counts half, whatever the sizes of its batches
        return 0.5 * sum((loss(side, torch.full_like(side, number)) for number, side in enumerate(sides)), torch.zeros_like(told[0]))

    return Penalty(penalty, discriminator)


def ramp(progress: float) -> float:
    """From 0 to almost 1."""
    return 2 / (1 + math.exp(-10 * progress)) - 1


def reversed_gradient(features: Tensor, factor: float) -> Tensor:
    """The features as they are, whose gradient is `-factor` times what arrives."""
    return features.detach() * (1 + factor) - features * factor
