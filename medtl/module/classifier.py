"""Backbone and linear head as one module that takes stored images or cached features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from medtl.backbones.network import Network


def as_input(images: Tensor) -> Tensor:
    """Stored uint8 images (B, H, W, C) → float32 (B, C, H, W) in [0, 1], in channels_last memory; float input passes through."""
    if images.dtype != torch.uint8:
        return images
    return images.permute(0, 3, 1, 2).to(torch.float32).div_(255)


class Classifier(nn.Module):
    """`logits = head(dropout(pooled features))`; normalisation of the input is the network's own."""

    def __init__(self, network: Network, classes: int, dropout: float = 0.0):
        super().__init__()
        self.network = network
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(network.dim, classes)
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)

    def forward(self, images: Tensor) -> Tensor:
        """uint8 (B, H, W, C) or float (B, C, H, W) in [0, 1] → raw logits (B, K)."""
        return self.classify(self.network.features(as_input(images)))

    def classify(self, features: Tensor) -> Tensor:
        """Pooled features (B, D) → raw logits (B, K)."""
        logits: Tensor = self.head(self.dropout(features))
        return logits
