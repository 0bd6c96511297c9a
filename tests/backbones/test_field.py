"""The field's networks: each is built, takes one training step on grey and colour images, and has the shapes that its paper says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from medtl.backbones import BackboneSettings
from medtl.backbones.cutting import cut
from medtl.backbones.description import parse_description
from medtl.backbones.network import Network, build_network
from medtl.imaging.settings import ImageSettings
from medtl.imbalance.losses import cross_entropy
from medtl.module.classifier import Classifier
from medtl.module.transfer_module import TransferModule
from medtl.transfer import TransferSettings

FIELD = {
    "vgg16": (224, 4096, 7, 14),
    "vgg19": (224, 4096, 7, 17),
    "resnet18": (224, 512, 7, 5),
    "resnet50": (224, 2048, 7, 5),
    "mobilenetv2_100": (224, 1280, 7, 8),
    "mobilenetv3_large_100": (224, 1280, 7, 9),
    "inception_v3": (299, 2048, 8, 13),
    "alexnet": (224, 4096, 6, 7),
    "densenet121": (224, 1024, 7, 5),
    "efficientnet_b0": (224, 1280, 7, 8),
    "convnext_atto": (224, 320, 7, 5),
    "convnext_tiny": (224, 768, 7, 5),
    "regnety_008": (224, 768, 7, 5),
}
"""Name: side of the image, features, side of the last maps, stages."""


@pytest.mark.slow
@pytest.mark.parametrize("name", FIELD)
def test_built_stepped_and_shape_checked(name):
    size, dim, side, stages = FIELD[name]
    network = build_network(BackboneSettings(name=name, weights="none"), ImageSettings(size=size, channels=1), Path("."))
    assert (network.dim, len(network.stages())) == (dim, stages)
    grey = torch.rand(2, 1, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        maps = network.eval().maps(grey)
        assert maps[-1].shape[2:] == (side, side)
        torch.testing.assert_close(network.pool(maps), network.features(grey.expand(-1, 3, -1, -1)))
        staged = Network(network.backbone, parse_description({**network.description, "features": "stages"}, "a test")).eval()
        assert staged.features(grey).shape == (2, staged.dim)
        assert staged.dim > dim
    assert cut(network, 1) is not None

    auxiliary = 0.4 if name == "inception_v3" else 0.0
    classifier = Classifier(network, 3)
    module = TransferModule(classifier, _loss(), TransferSettings(strategy="full", auxiliary=auxiliary, epochs=1), steps=1, seed=0)
    module._plan_epoch()
    value = module.loss_of(grey, torch.tensor([0, 2]), 0)
    value.backward()
    gradients = {name: parameter.grad for name, parameter in classifier.named_parameters()}
    assert torch.isfinite(value)
    assert [name for name, gradient in gradients.items() if gradient is None or not torch.isfinite(gradient).all()] == []
    assert float(next(iter(gradients.values())).abs().sum()) > 0, "nothing reaches the first layer"


def _loss():
    return cross_entropy.build(cross_entropy.Settings(), np.ones(3))


@pytest.mark.slow
def test_the_auxiliary_classifier_teaches_the_lower_layers_and_goes():
    network = build_network(BackboneSettings(name="inception_v3", weights="none"), ImageSettings(size=299), Path("."))
    classifier = Classifier(network, 2)
    torch.nn.init.zeros_(classifier.head.weight)  # no gradient comes down from the head
    module = TransferModule(classifier, _loss(), TransferSettings(strategy="full", auxiliary=0.4, epochs=1), steps=1, seed=0)
    module._plan_epoch()
    module.loss_of(torch.rand(2, 3, 299, 299), torch.tensor([0, 1]), 0).backward()
    body = network.backbone
    assert float(body.Conv2d_1a_3x3.conv.weight.grad.abs().sum()) > 0
    assert float(body.Mixed_7c.branch1x1.conv.weight.grad.abs().sum()) == 0
    module.on_fit_end()
    classifier.train()(torch.rand(2, 3, 299, 299))
    assert module.auxiliary._maps is None, "it still listens"
