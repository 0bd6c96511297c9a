"""A network in two: the same features, and nothing of what learns below the border."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from medtl.backbones import BackboneSettings
from medtl.backbones.cutting import cut
from medtl.backbones.network import build_network
from medtl.imaging.settings import ImageSettings

SMALL = ("test_resnet", "test_convnext", "mobilenetv3_small_050", "squeezenet1_1", "shufflenet_v2_x0_5")


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("stages", [1, 2])
def test_both_parts_together_are_the_network(name, stages):
    network = build_network(BackboneSettings(name=name, weights="none"), ImageSettings(size=64), Path(".")).eval()
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    parts = cut(network, stages)
    assert parts is not None
    maps = parts.below(x)
    features = parts.above(maps)
    assert torch.equal(features, network.features(x))
    features.sum().backward()
    learning = {name for stage in network.stages()[-stages:] for name in stage}
    above = {id(parameter) for parameter in parts.above.parameters()}
    assert {name for name, parameter in network.named_parameters() if id(parameter) in above} == learning
    with torch.no_grad():
        for parameter in parts.above.parameters():
            parameter.zero_()
    assert not torch.equal(network.features(x), features), "the parts hold weights of their own"


def test_a_network_that_decides_by_its_numbers_is_not_cut():
    network = build_network(BackboneSettings(name="test_resnet", weights="none"), ImageSettings(size=64), Path(".")).eval()
    plain = network.backbone.forward_features
    network.backbone.forward_features = lambda x: plain(x) if x.sum() > 0 else plain(-x)
    assert cut(network, 1) is None


def test_dropout_as_a_function_is_not_cut_for_a_trace_would_freeze_it():
    settings = BackboneSettings(name="test_resnet", weights="none", options={"drop_rate": 0.3})
    network = build_network(settings, ImageSettings(size=64), Path(".")).train()
    x = torch.rand(2, 3, 64, 64)
    assert not torch.equal(network.features(x), network.features(x)), "values are dropped out"
    assert cut(network.eval(), 1) is None
