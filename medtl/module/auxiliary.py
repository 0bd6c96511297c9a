"""An auxiliary classifier in the middle of a network, in training alone (Szegedy et al., CVPR 2016).

It gives the lower layers of a deep network a shorter way to the labels; what it learns is thrown away.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.models.inception import InceptionAux

from medtl.module.classifier import Classifier


class Auxiliary(nn.Module):
    """Inception's auxiliary head on the maps that the classifier's last forward pass left at the network's own place for it."""

    def __init__(self, classifier: Classifier, seed: int):
        super().__init__()
        place = classifier.network.auxiliary()
        assert place is not None, "refused before: see `learning.refuse_impossible`"
        layer, channels = place
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.head = InceptionAux(channels, classifier.head.out_features)
        self._maps: Tensor | None = None
        self._hook = layer.register_forward_hook(self._keep)

    def _keep(self, layer: nn.Module, given: object, maps: Tensor) -> None:
        """Of the last batch alone: who learns without labels asks for none, and would keep them all."""
        if layer.training:
            self._maps = maps

    def forward(self) -> Tensor:
        """Raw logits (B, K) of the last batch, which is then forgotten."""
        logits: Tensor = self.head(self._maps)
        self._maps = None
        return logits

    def detach(self) -> None:
        """The classifier goes its way without it."""
        self._hook.remove()
