"""Networks by name: structure, normalisation, grey input, what is refused."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from medtl.backbones import BackboneSettings
from medtl.backbones.families import library_of
from medtl.backbones.network import Network, build_network, rebuild
from medtl.errors import MedtlError
from medtl.imaging.settings import ImageSettings

HERE = Path(".")
SMALL = ("test_resnet", "test_byobnet", "test_convnext", "mobilenetv3_small_050", "squeezenet1_1", "shufflenet_v2_x0_5")
"""A network of each kind of head; the first three are timm's own miniatures."""


def random(name: str, image: ImageSettings | None = None, seed: int = 0, **options: object) -> Network:
    settings = BackboneSettings(name=name, weights="none", options=options)
    return build_network(settings, image or ImageSettings(size=64), HERE, seed).eval()


def pixels(channels: int = 3, side: int = 64) -> torch.Tensor:
    return torch.rand(2, channels, side, side, generator=torch.Generator().manual_seed(0))


def digest(network: Network) -> str:
    whole = hashlib.sha256()
    for tensor in network.state_dict().values():
        whole.update(tensor.numpy().tobytes())
    return whole.hexdigest()


@pytest.mark.parametrize("name", SMALL)
def test_features_maps_and_rebuilding(name: str) -> None:
    network = random(name)
    x = pixels()
    with torch.no_grad():
        (last,), features = network.maps(x), network.features(x)
        assert last.ndim == 4
        assert last.shape[2] == last.shape[3] < 64
        assert features.shape == (2, network.dim)
        assert torch.isfinite(features).all()
        assert torch.equal(network.pool([last]), features)
        assert torch.equal(network(x), features)
        again = rebuild(network.description).eval()
        assert again.description == network.description
        assert again.dim == network.dim
        again.load_state_dict(network.state_dict())
        assert torch.equal(again.features(x), features)
        channels_last = network.to(memory_format=torch.channels_last).features(x.to(memory_format=torch.channels_last))
        torch.testing.assert_close(channels_last, features, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", SMALL)
def test_grey_is_three_equal_channels_exactly(name: str) -> None:
    network = random(name, ImageSettings(size=64, channels=1))
    with torch.no_grad():
        assert torch.equal(network.features(pixels(1)), network.features(pixels(1).repeat(1, 3, 1, 1)))


@pytest.mark.parametrize("name", SMALL)
def test_stages_hold_every_parameter_once(name: str) -> None:
    network = random(name)
    stages = network.stages()
    assert len(stages) > 2
    assert sorted(key for stage in stages for key in stage) == sorted(key for key, _ in network.named_parameters())
    assert next(iter(dict(network.named_parameters()))) in stages[0]


def test_a_network_that_timm_does_not_group_has_stages_too() -> None:
    network = random("poolformer_s12")
    stages = network.stages()
    assert sorted(key for stage in stages for key in stage) == sorted(key for key, _ in network.named_parameters())
    assert [stage[0].split(".")[1:3] for stage in stages][:5] == [["stem", "conv"], *(["stages", str(number)] for number in range(4))]


def test_alexnet_keeps_its_hidden_layers_and_drops_its_dropout() -> None:
    network = random("alexnet", ImageSettings(size=224))
    assert network.dim == 4096
    assert network.stages()[-1] == ["backbone.classifier.4.weight", "backbone.classifier.4.bias"]
    network.train()
    with torch.no_grad():
        assert torch.equal(network.features(pixels()), network.features(pixels())), "no dropout but transfer.dropout"


@pytest.mark.parametrize("name", SMALL)
def test_every_stage_can_speak_for_itself(name: str) -> None:
    """`features: stages`: the means of the earlier stages' maps, finest first, then what the network alone would have given."""
    settings = BackboneSettings(name=name, weights="none", features="stages")
    network, alone, x = build_network(settings, ImageSettings(size=64), Path(".")).eval(), random(name), pixels()
    with torch.no_grad():
        maps, features = network.maps(x), network.features(x)
        assert len(maps) >= 3
        sides = [each.shape[2] for each in maps]
        assert sides == sorted(sides, reverse=True)
        assert network.dims == (*(each.shape[1] for each in maps[:-1]), alone.dim)
        parts = features.split(list(network.dims), dim=1)
        for part, each in zip(parts[:-1], maps[:-1], strict=True):
            torch.testing.assert_close(part, each.flatten(2).mean(dim=2))
        torch.testing.assert_close(parts[-1], alone.features(x))
        assert not torch.equal(maps[-1], maps[-2]), "the last maps stand there once"
        again = rebuild(network.description).eval()
        again.load_state_dict(network.state_dict())
        assert torch.equal(again.features(x), features)


def test_the_library_is_timm_and_else_torchvision() -> None:
    assert library_of("resnet18") == "timm"
    assert library_of("googlenet") == "torchvision"


def test_normalisation_is_the_networks_own() -> None:
    usual = random("mobilenetv3_small_050")
    assert usual.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert usual.std.flatten().tolist() == pytest.approx([0.229, 0.224, 0.225])
    assert random("test_resnet").mean.flatten().tolist() == [0.5, 0.5, 0.5]
    seen = []
    usual.backbone.forward_features = lambda x: seen.append(x) or x  # type: ignore[method-assign]
    usual.maps(torch.full((1, 3, 2, 2), 0.5))
    assert seen[0][0, :, 0, 0].tolist() == pytest.approx(
        [(0.5 - m) / s for m, s in zip((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), strict=True)]
    )


def test_googlenet_is_torchvisions_with_its_own_transform() -> None:
    """Torchvision's pretrained GoogLeNet turns the usual normalisation into [-1, 1]; ours gets there at once."""
    from torchvision.models import googlenet

    network = random("googlenet")
    original = googlenet(weights=None, aux_logits=False, init_weights=False, transform_input=True).eval()
    original.load_state_dict({key.removeprefix("backbone."): value for key, value in network.state_dict().items()}, strict=False)
    original.fc = torch.nn.Identity()
    usual = (pixels() - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    with torch.no_grad():
        torch.testing.assert_close(network.features(pixels()), original(usual), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["squeezenet1_1", "shufflenet_v2_x0_5", "regnet_x_400mf", "mobilenet_v2"])
def test_torchvision_features_are_what_its_classifier_reads(name: str) -> None:
    from torchvision import models

    network = random(name)
    original = models.get_model(name, weights=None).eval()
    report = original.load_state_dict({key.removeprefix("backbone."): value for key, value in network.state_dict().items()}, strict=False)
    assert not report.unexpected_keys
    assert all(key.startswith(("classifier", "fc")) for key in report.missing_keys)
    head = "fc" if hasattr(original, "fc") else "classifier"
    setattr(original, head, torch.nn.AdaptiveAvgPool2d(1) if name.startswith("squeezenet") else torch.nn.Identity())
    normal = (pixels() - network.mean) / network.std
    with torch.no_grad():
        torch.testing.assert_close(network.features(pixels()), original(normal), atol=1e-5, rtol=1e-5)


def test_the_seed_decides_random_weights_and_nothing_else() -> None:
    state = torch.get_rng_state()
    first, same, other = random("test_resnet", seed=1), random("test_resnet", seed=1), random("test_resnet", seed=2)
    assert digest(first) == digest(same) != digest(other)
    assert torch.equal(torch.get_rng_state(), state), "torch's own generator is left alone"
    assert first.provenance == {"source": "none"}


def test_options_reach_the_network_and_are_described() -> None:
    network = random("test_resnet", global_pool="catavgmax")
    assert network.dim == 2 * random("test_resnet").dim == rebuild(network.description).dim
    one = random("test_resnet", ImageSettings(size=64, channels=1), in_chans=1)
    assert one.mean.flatten().tolist() == [0.5]
    assert one.features(pixels(1)).shape == (2, one.dim)
    with pytest.raises(MedtlError, match=r"takes one grey channel, but image.channels is 3; set image.channels: 1"):
        random("test_resnet", in_chans=1)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("resnt50", "no network 'resnt50' in timm or torchvision; did you mean 'resnet50'"),
        ("squeezenet1_2", "did you mean 'squeezenet1_"),
        ("resnet50.nope", "no network 'resnet50.nope'"),
        ("xception", r"'xception' is called 'legacy_xception\.tf_in1k' now; set backbone.name: legacy_xception\.tf_in1k"),
        ("vit_tiny_patch16_224", "bound to one image size; medtl takes CNNs"),
        ("test_mambaout", "gives no maps of features over the image"),
    ],
)
def test_names_that_are_refused(name: str, sentence: str) -> None:
    with pytest.raises(MedtlError, match=sentence):
        random(name)


def test_options_and_sizes_that_are_refused() -> None:
    with pytest.raises(
        MedtlError, match=r"test_resnet cannot be built with the options \{padtype: same\}.*unexpected keyword argument 'padtype'"
    ):
        random("test_resnet", padtype="same")
    with pytest.raises(MedtlError, match=r"alexnet cannot take images of 16 pixels; choose a larger image.size"):
        random("alexnet", ImageSettings(size=16))
    for option in ({"pretrained": True}, {"checkpoint_path": "x"}, {"pretrained_cfg": "a:b"}, {"pad_type": "../x"}):
        with pytest.raises(ValidationError, match="options"):
            BackboneSettings(name="resnet18", options=option)


def test_an_untrusted_description_is_refused() -> None:
    description = random("test_resnet").description
    for change in (
        {"architecture": "hf-hub:timm/x"},
        {"library": "os"},
        {"options": {"pretrained": True}},
        {"std": [0, 0, 0]},
        {"mean": [0.5]},
    ):
        with pytest.raises(MedtlError, match="the network's description cannot be used"):
            rebuild({**description, **change})
    with pytest.raises(MedtlError, match="this machine's timm has no network 'resnet9000'"):
        rebuild({**description, "architecture": "resnet9000"})


@pytest.mark.parametrize(("name", "dim", "tensors"), [("mobilenetv2_100", 1280, 260), ("squeezenet1_0", 512, 50)])
def test_real_imagenet_weights_fit_entirely(shared: Callable[[str], Path], name: str, dim: int, tensors: int) -> None:
    weights = shared(f"weights/{name}.imagenet.safetensors")
    settings = BackboneSettings(name=name, weights=weights.name)
    network = build_network(settings, ImageSettings(), weights.parent, seed=0).eval()
    told = network.provenance
    assert network.dim == dim
    assert told["fitted"] == told["tensors"] == tensors
    assert told["missing"] == told["mismatched"] == told["unexpected"] == []
    assert len(told["head"]) == 2
    assert told["sidecar"]
    assert told["file"] == weights.name
    assert told["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert network.description["options"] == ({"pad_type": "same"} if name == "mobilenetv2_100" else {})
    assert {value.dtype for value in network.parameters()} == {torch.float32}
    again = build_network(settings, ImageSettings(), weights.parent, seed=5).eval()
    assert digest(network) == digest(again), "nothing is left to the seed"
    with torch.no_grad():
        assert torch.equal(network.features(pixels(side=224)), again.features(pixels(side=224)))
