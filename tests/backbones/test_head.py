"""The source's own classifier: the same answers as the whole network, and nothing where it cannot give them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch.testing import assert_close
from torchvision import models

from medtl.backbones import BackboneSettings
from medtl.backbones.head import Head, linear_head
from medtl.backbones.network import Network, build_network
from medtl.backbones.weights import open_weights
from medtl.imaging.settings import ImageSettings


def opened(name: str, file: Path) -> tuple[Network, Head | None]:
    settings = BackboneSettings(name=name, weights=str(file))
    network = build_network(settings, ImageSettings(size=224), Path()).eval()
    return network, linear_head(settings, open_weights(settings, Path()), network.dim)


@pytest.mark.parametrize("name", ["test_resnet", "mobilenetv3_small_050"])
def test_the_head_answers_as_the_whole_network(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    whole = timm.create_model(name, num_classes=7).eval()
    torch.nn.init.normal_(whole.get_classifier().weight)
    save_file(whole.state_dict(), tmp_path / "w.safetensors")
    network, head = opened(name, tmp_path / "w.safetensors")
    images = torch.rand(3, 3, 224, 224)
    with torch.no_grad():
        expected = torch.softmax(whole((images - network.mean) / network.std), dim=1)
        assert head is not None
        assert_close(head.probabilities(network.features(images)), expected, rtol=1e-4, atol=1e-5)


def test_no_head_and_a_head_of_another_kind(tmp_path: Path) -> None:
    save_file(timm.create_model("test_resnet", num_classes=0).state_dict(), tmp_path / "none.safetensors")
    assert opened("test_resnet", tmp_path / "none.safetensors")[1] is None
    save_file(models.get_model("squeezenet1_0").state_dict(), tmp_path / "conv.safetensors")
    assert opened("squeezenet1_0", tmp_path / "conv.safetensors")[1] is None, "a convolution with a ReLU before the pooling is not linear"


def test_imagenets_head_of_real_weights(shared: Callable[[str], Path]) -> None:
    network, head = opened("mobilenetv2_100", shared("weights") / "mobilenetv2_100.imagenet.safetensors")
    assert head is not None
    assert head.weight.shape == (1000, network.dim)
    with torch.no_grad():
        p = head.probabilities(network.features(torch.rand(2, 3, 224, 224)))
    assert_close(p.sum(1), torch.ones(2))
