"""CNNs of torchvision, for names that timm does not have (AlexNet, SqueezeNet, GoogLeNet, ShuffleNet, MNASNet …).

Features are the last maps, averaged over their positions: what SqueezeNet, GoogLeNet and the others feed to their classifier. AlexNet
alone keeps its two hidden fully connected layers (4096 features, "fc7": Donahue et al., DeCAF, ICML 2014), as timm's VGG does, for there
they are part of what was learnt and what the literature means. The networks' own dropout is left out: `transfer.dropout` is the one.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import groupby

import torch
from torch import Tensor, nn
from torchvision import models

from medtl.backbones import Scalar
from medtl.backbones.hub import UrlFile

_NOT_CNN = ("swin", "vit_", "maxvit")
_HEADS = ("avgpool", "dropout", "classifier", "fc", "aux1", "aux2", "AuxLogits")
_PLAIN_RANGE = ("googlenet", "inception_v3")
"""Trained on [-1, 1]: torchvision's `transform_input` undoes the usual normalisation; here they get that range at once."""


class Body(nn.Module):
    """Parts of a torchvision network under their own names, so that its weights' keys fit; the two calls are timm's."""

    def __init__(self, parts: OrderedDict[str, nn.Module], hidden: nn.Module | None):
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)
        self._order = tuple(parts)
        self.pool = nn.AdaptiveAvgPool2d(1 if hidden is None else 6)
        self.classifier = nn.Identity() if hidden is None else hidden

    def forward_features(self, x: Tensor) -> Tensor:
        """(B, 3, S, S) -> (B, F, h, w)."""
        for name in self._order:
            x = self.get_submodule(name)(x)
        return x

    def forward_intermediates(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The last maps (B, F, h, w), and each that is halved next, from the first convolution up."""
        found: list[Tensor] = []
        for depth, layer in enumerate(self._layers()):
            given, x = x, layer(x)
            if depth and x.shape[-1] < given.shape[-1]:
                found.append(given)
        return x, found

    def _layers(self) -> list[nn.Module]:
        parts = [self.get_submodule(name) for name in self._order]
        return [layer for part in parts for layer in (part if isinstance(part, nn.Sequential) else [part])]

    def forward_head(self, maps: Tensor, pre_logits: bool = True) -> Tensor:
        """(B, F, h, w) -> (B, D)."""
        features: Tensor = self.classifier(torch.flatten(self.pool(maps), 1))
        return features


def names() -> list[str]:
    """Classification CNNs of torchvision; those that timm has too are taken from timm unless a sidecar says otherwise."""
    return [name for name in models.list_models(module=models) if not name.startswith(_NOT_CNN)]


def has(name: str) -> bool:
    """Without tags: torchvision's weights have none in their names."""
    return name in names()


def successor(name: str) -> str:
    """None of its networks changed names."""
    return ""


def build(name: str, options: dict[str, Scalar]) -> nn.Module:
    """The network without classifier and auxiliary classifiers, random weights. Unknown options: TypeError."""
    extra = {"aux_logits": False, "init_weights": True} if name in _PLAIN_RANGE else {}
    whole = models.get_model(name, weights=None, **{**extra, **options})
    parts = OrderedDict((part, module) for part, module in whole.named_children() if part not in _HEADS)
    hidden = None
    if name == "alexnet":
        hidden = whole.classifier[:-1]
        hidden = nn.Sequential(OrderedDict((key, layer) for key, layer in hidden.named_children() if not isinstance(layer, nn.Dropout)))
    return Body(parts, hidden)


def statistics(name: str, options: dict[str, Scalar]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of the weights' own transforms."""
    if name in _PLAIN_RANGE:
        return (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
    transforms = models.get_model_weights(name)["DEFAULT"].transforms()
    return tuple(transforms.mean), tuple(transforms.std)


def hub_source(name: str) -> UrlFile | None:
    """Torchvision's own server."""
    return UrlFile(models.get_model_weights(name)["DEFAULT"].url)


def heads(name: str) -> tuple[str, ...]:
    """The classifiers, and the auxiliary ones of training."""
    return ("classifier.6",) if name == "alexnet" else _HEADS


def translate(body: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Nothing: the parts keep torchvision's own names."""
    return state


def stages(body: nn.Module) -> list[list[str]]:
    """One group per layer or block that holds parameters, in the order of the network."""

    def stage(parameter: str) -> str:
        part, _, rest = parameter.partition(".")
        return f"{part}.{rest.partition('.')[0]}" if part in ("features", "layers", "classifier", "trunk_output") else part

    return [list(group) for _, group in groupby((name for name, _ in body.named_parameters()), key=stage)]
