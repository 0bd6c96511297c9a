"""Tent: batch norms learn to make the answers on the target sure (Wang et al., ICLR 2021). Source data stay home.

From the source-only model on, with the target's images alone: their mean entropy of answers falls by the scales and shifts of batch norms,
which normalise by the statistics of each batch; all other weights stay. The paper adapts while it answers, batch by batch; here the
target's training images are gone through once an epoch, augmented, and the package then answers as any other. It needs a source model
that is right on most of the target: sure and wrong has as little entropy as sure and right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from medtl.adaptation import BATCH_NORM, ONE_CLASS, TRAINABLE, MethodSettings

if TYPE_CHECKING:
    from torch import Tensor, nn

NEEDS = (TRAINABLE, BATCH_NORM, ONE_CLASS)
KIND = "penalty"
CONTINUES = True
NORMS_ALONE = True


class Settings(MethodSettings):
    name: Literal["tent"] = "tent"
    weight: Annotated[float, Field(ge=0)] = 1.0
    """Of the entropy. Nothing else is learned from, so that how far it goes depends less on this than on `transfer.rate` and `epochs`."""


def build(settings: Settings, dim: int, classes: int, seed: int) -> nn.Module:
    """The contract of `medtl.adaptation.methods`."""
    from medtl.adaptation.penalty import Penalty

    return Penalty(lambda step: settings.weight * entropy(step.target_logits.float()))


def entropy(logits: Tensor) -> Tensor:
    """The mean entropy of the answers (B, K), in nats, in [0, log K]."""
    log_p = logits.log_softmax(dim=1)
    return -(log_p.exp() * log_p).sum(dim=1).mean()
