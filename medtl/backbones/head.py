"""The source task's own classifier, where it came with the weights: from pooled features to the source's classes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from medtl.backbones import BackboneSettings
from medtl.backbones.families import family, library_of
from medtl.backbones.weights import Weights


@dataclass(frozen=True)
class Head:
    """One linear layer on the pooled features."""

    weight: Tensor
    """(Z, D) float32, Z source classes."""
    bias: Tensor
    """(Z,)"""

    def probabilities(self, features: Tensor) -> Tensor:
        """Features (N, D) → (N, Z), as the source's softmax gives them."""
        return torch.softmax(self._logits(features), dim=1)

    def findings(self, features: Tensor) -> Tensor:
        """The same where the source's classes are findings, each with a probability by itself."""
        return torch.sigmoid(self._logits(features))

    def _logits(self, features: Tensor) -> Tensor:
        return features @ self.weight.T + self.bias


def linear_head(settings: BackboneSettings, given: Weights, dim: int) -> Head | None:
    """The classifier among `given` weights; None where there is none, or none that is one linear layer on the network's `dim` features."""
    found = dict(given.head)
    if not found and given.state is not None:
        names = family(given.library or library_of(settings.name)).heads(settings.name)
        found = {key: value for key, value in given.state.items() if any(key == name or key.startswith(f"{name}.") for name in names)}
    fitting = [key for key, value in found.items() if value.ndim == 2 and value.shape[1] == dim and key.endswith("weight")]
    if len(fitting) != 1:
        return None
    weight = found[fitting[0]].float()
    bias = found.get(fitting[0].removesuffix("weight") + "bias", torch.zeros(len(weight))).float()
    return Head(weight, bias) if len(weight) > 1 and bias.shape == weight.shape[:1] else None
