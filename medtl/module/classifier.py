"""Backbone and linear head as one module that takes stored images or cached features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from medtl.decisions.settings import Flips

if TYPE_CHECKING:
    from medtl.backbones.network import Network


VIEWS: dict[Flips, tuple[tuple[int, ...], ...]] = {"none": ((),), "horizontal": ((), (3,)), "both": ((), (3,), (2,), (2, 3))}
"""Axes of (B, C, H, W) that each view of an image is mirrored along."""


def as_input(images: Tensor) -> Tensor:
    """Stored uint8 images (B, H, W, C) → float32 (B, C, H, W) in [0, 1], in channels_last memory; float input passes through."""
    if images.dtype != torch.uint8:
        return images
    return images.permute(0, 3, 1, 2).to(torch.float32).div_(255)


Maps = list[list[Tensor]]
"""Of every view, mirrored as it is: the feature maps (B, F, h, w) as :meth:`medtl.backbones.network.Network.maps` gives them."""


class Classifier(nn.Module):
    """`logits = head(dropout(pooled features))`; normalisation of the input is the network's own.

    In evaluation mode the logits are the mean over the image's mirror images that `flips` names (test-time augmentation). `outputs`: how
    many outputs of the head belong to each of the K classes (`Task.outputs`), or K. Where these are several, training works on the outputs,
    and a class's logit is the log of the sum of their exponentials: its probability is then the sum of theirs.
    """

    def __init__(self, network: Network, outputs: int | Sequence[int], dropout: float = 0.0, flips: Flips = "none"):
        super().__init__()
        self.network = network
        self.outputs = (1,) * outputs if isinstance(outputs, int) else tuple(outputs)
        self.views = VIEWS[flips]
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(network.dim, sum(self.outputs))
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)

    def forward(self, images: Tensor) -> Tensor:
        """uint8 (B, H, W, C) or float (B, C, H, W) in [0, 1] → raw logits (B, K); in training mode of the head's outputs."""
        if self.training:
            return self.learned(self.network.features(as_input(images)))
        return self.with_features(images)[0]

    def with_features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """In evaluation mode: raw logits (B, K), and the features (B, D) of the images as they are, not mirrored, of the same pass."""
        given = as_input(images)
        features = [self.network.features(given.flip(axes)) for axes in self.views]
        return self._mean_of_views(features), features[0]

    def with_maps(self, images: Tensor) -> tuple[Tensor, Tensor, Maps]:
        """The same, and what the features of every view are pooled from, of the same pass."""
        given = as_input(images)
        maps = [self.network.maps(given.flip(axes)) for axes in self.views]
        features = [self.network.pool([each.clone() for each in view]) for view in maps]  # copies: some heads work in place
        return self._mean_of_views(features), features[0], maps

    def _mean_of_views(self, features: Sequence[Tensor]) -> Tensor:
        return torch.stack([self.classify(each) for each in features]).mean(dim=0)

    def classify(self, features: Tensor) -> Tensor:
        """Pooled features (B, D) → raw logits (B, K)."""
        return of_classes(self.learned(features), self.outputs)

    def learned(self, features: Tensor) -> Tensor:
        """Pooled features (B, D) → logits of the head's outputs, which the loss is of."""
        logits: Tensor = self.head(self.dropout(features))
        return logits


def of_classes(logits: Tensor, outputs: Sequence[int]) -> Tensor:
    """Logits (B, sum of outputs) of what was learned → (B, K) of the classes, each the log of the sum of its own exponentials.

    >>> of_classes(torch.tensor([[0.0, 0.0, 1.0]]), (2, 1)).softmax(dim=1)[0, 1] == torch.tensor([0.0, 0.0, 1.0]).softmax(dim=0)[2]
    tensor(True)
    """
    if len(outputs) == logits.shape[1]:
        return logits
    return torch.stack([own.logsumexp(dim=1) for own in logits.split(list(outputs), dim=1)], dim=1)
