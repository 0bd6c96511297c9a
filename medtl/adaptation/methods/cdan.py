"""CDAN+E: a discriminator cannot tell the domains apart, class by class (Long et al., NeurIPS 2018).

As `dann`, but the discriminator sees each feature multiplied with each class's probability, so that groups are aligned that are answered
alike; images of which the network is sure count more, by `1 + exp(-entropy)`, of mean 1 in each domain. Where D features times K
classes are more than 4,096, it sees 1,024 products of random projections of both in their place. Gradients are reversed, with `weight`
and the ramp of `dann`; probabilities and weights are taken as constants, so that they reach the features alone. It aligns the classes
that the answers name, and so wrong ones where the source model is mostly wrong on the target.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from medtl.adaptation import ONE_CLASS, SOURCE_DATA, TRAINABLE, MethodSettings

if TYPE_CHECKING:
    from torch import Tensor, nn

    from medtl.adaptation.step import Step

NEEDS = (TRAINABLE, SOURCE_DATA, ONE_CLASS)
KIND = "penalty"
MOST, PROJECTED = 4096, 1024
"""Products of features and classes that the discriminator sees as they are, and how many random ones it sees where they are more."""


class Settings(MethodSettings):
    name: Literal["cdan"] = "cdan"
    hidden: Annotated[int, Field(ge=1)] = 256
    """Units of the discriminator's hidden layer."""


def build(settings: Settings, dim: int, classes: int, seed: int) -> nn.Module:
    """The contract of `medtl.adaptation.methods`."""
    import torch

    from medtl.adaptation.adversary import discriminator, ramp, reversed_gradient, told_apart
    from medtl.adaptation.penalty import Penalty

    projected = dim * classes > MOST
    learner = discriminator(PROJECTED if projected else dim * classes, settings.hidden, seed)
    if projected:
        drawn = torch.Generator().manual_seed(seed)
        for name, size in (("of_features", dim), ("of_classes", classes)):
            learner.register_buffer(name, torch.randn(size, PROJECTED, generator=drawn))

    def penalty(step: Step) -> Tensor:
        assert step.features is not None
        assert step.logits is not None
        a = len(step.features)
        p = torch.cat([step.logits, step.target_logits]).detach().float().softmax(dim=1)
        features = reversed_gradient(torch.cat([step.features, step.target_features]).float(), settings.weight * ramp(step.progress))
        told = learner(projection(features, p, learner.of_features, learner.of_classes) if projected else products(features, p))
        return told_apart(told[:a], told[a:], (certainty(p[:a]), certainty(p[a:])))

    return Penalty(penalty, learner)


def products(features: Tensor, p: Tensor) -> Tensor:
    """(B, D) and (B, K) → (B, K · D), all products of an image's features and probabilities."""
    return (p[:, :, None] * features[:, None, :]).flatten(1)


def projection(features: Tensor, p: Tensor, of_features: Tensor, of_classes: Tensor) -> Tensor:
    """(B, D) and (B, K) → (B, M), by maps (D, M) and (K, M) whose entries are independent, of mean 0 and variance 1.

    The inner product of two images is in expectation that of their `products`.
    """
    projected: Tensor = (features @ of_features) * (p @ of_classes) / of_features.shape[1] ** 0.5
    return projected


def certainty(p: Tensor) -> Tensor:
    """(B, K) probabilities → (B,) weights `1 + exp(-entropy)`, over their mean."""
    weights = 1 + p.xlogy(p).sum(dim=1).exp()
    return weights / weights.mean()
