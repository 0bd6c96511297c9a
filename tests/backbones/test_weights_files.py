"""Weights files: what fits is counted, what contradicts is refused, nothing is executed."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from medtl.backbones import BackboneSettings
from medtl.backbones.families import family
from medtl.backbones.fitting import fit, sentence
from medtl.backbones.network import Network, build_network
from medtl.errors import MedtlError
from medtl.imaging.settings import ImageSettings

IMAGE = ImageSettings(size=64)


def state(name: str = "test_resnet", **options: object) -> dict[str, torch.Tensor]:
    torch.manual_seed(7)
    return timm.create_model(name, **options).state_dict()


def load(folder: Path, weights: str, name: str = "test_resnet", image: ImageSettings = IMAGE, **options: object) -> Network:
    return build_network(BackboneSettings(name=name, weights=weights, options=options), image, folder, seed=0)


def sidecar(file: Path, **about: object) -> None:
    file.with_name(file.name + ".json").write_text(json.dumps(about))


def holds(network: Network, tensors: dict[str, torch.Tensor]) -> bool:
    own = network.backbone.state_dict()
    return all(torch.equal(own[key], value.float() if value.is_floating_point() else value) for key, value in tensors.items() if key in own)


def test_safetensors_with_and_without_head(tmp_path: Path) -> None:
    save_file(state(), tmp_path / "whole.safetensors")
    network = load(tmp_path, "whole.safetensors")
    assert holds(network, state())
    assert network.provenance["head"] == ["fc.bias", "fc.weight"]
    assert not network.provenance["sidecar"]
    assert sentence(network.provenance).endswith("tensors from whole.safetensors; its head (2 tensors) left out on purpose")
    save_file(state(num_classes=5), tmp_path / "five.safetensors")
    assert load(tmp_path, "five.safetensors").provenance["fitted"] == network.provenance["tensors"], (
        "another number of classes is no matter"
    )
    save_file(state(num_classes=0), tmp_path / "none.safetensors")
    assert load(tmp_path, str(tmp_path / "none.safetensors")).provenance["head"] == []


@pytest.mark.parametrize("wrapping", ["plain", "state_dict", "module.", "state_dict module.model."])
def test_checkpoints_of_training_scripts(tmp_path: Path, wrapping: str) -> None:
    prefix = wrapping.removeprefix("state_dict").strip() if wrapping != "plain" else ""
    saved: dict[str, object] = {prefix + key: value for key, value in state().items()}
    if wrapping.startswith("state_dict"):
        saved = {"epoch": 3, "state_dict": saved, "optimizer": {"lr": 0.1}}
    torch.save(saved, tmp_path / "w.pth")
    assert holds(load(tmp_path, "w.pth"), state())


def test_half_precision_becomes_float32(tmp_path: Path) -> None:
    half = {key: value.half() if value.is_floating_point() else value for key, value in state().items()}
    save_file(half, tmp_path / "half.safetensors")
    network = load(tmp_path, "half.safetensors")
    assert holds(network, half)
    assert {value.dtype for value in network.parameters()} == {torch.float32}


def test_a_sidecar_is_taken_over(tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    save_file(state("mobilenetv3_small_050"), file)
    about = {
        "architecture": "mobilenetv3_small_050",
        "library": "timm",
        "options": {"pad_type": "same"},
        "mean": [0.5] * 3,
        "std": [0.25] * 3,
    }
    sidecar(file, **about, num_classes=1000, input_size=[3, 224, 224], note="kept out")
    network = load(tmp_path, file.name, name="mobilenetv3_small_050")
    assert {key: network.description[key] for key in about} == about
    assert network.mean.flatten().tolist() == [0.5] * 3
    assert network.std.flatten().tolist() == [0.25] * 3
    with pytest.raises(MedtlError, match=r"contradict .*pad_type \(config 'symmetric', weights 'same'\)"):
        load(tmp_path, file.name, name="mobilenetv3_small_050", pad_type="symmetric")
    with pytest.raises(MedtlError, match=r"backbone.name is 'test_resnet', but the weights w.safetensors are of 'mobilenetv3_small_050'"):
        load(tmp_path, file.name)


def test_from_scratch_the_structure_is_that_of_the_weights(tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    given = state("mobilenetv3_small_050")
    save_file(given, file)
    sidecar(file, architecture="mobilenetv3_small_050", options={"pad_type": "same"}, mean=[0.5] * 3)
    settings = BackboneSettings(name="mobilenetv3_small_050", weights=file.name)
    network = build_network(settings, IMAGE, tmp_path, pretrained=False)
    assert network.description == build_network(settings, IMAGE, tmp_path).description
    assert network.provenance == {"source": "none"}
    assert not torch.equal(network.backbone.conv_stem.weight, given["conv_stem.weight"])


def test_a_sidecars_library_wins(tmp_path: Path) -> None:
    from torchvision.models import resnet18

    file = tmp_path / "w.safetensors"
    save_file(resnet18(weights=None).state_dict(), file)
    sidecar(file, architecture="resnet18", library="torchvision")
    network = load(tmp_path, file.name, name="resnet18")
    assert network.description["library"] == "torchvision"
    assert network.provenance["head"] == ["fc.bias", "fc.weight"]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("{", "Expecting"),
        ('{"library": "os"}', "library"),
        ('{"options": {"checkpoint_path": "x"}}', "options"),
        ("[]", "valid dictionary"),
    ],
)
def test_a_broken_sidecar_is_named(tmp_path: Path, content: str, fault: str) -> None:
    save_file(state(), tmp_path / "w.safetensors")
    (tmp_path / "w.safetensors.json").write_text(content)
    with pytest.raises(MedtlError, match=f"the sidecar .*w.safetensors.json of the weights cannot be used: .*{fault}"):
        load(tmp_path, "w.safetensors")


def test_what_did_not_fit_is_told(tmp_path: Path) -> None:
    tensors = state()
    del tensors["layer1.0.bn1.weight"]
    tensors["layer1.0.bn1.bias"] = torch.zeros(3)
    tensors["extra.weight"] = torch.zeros(2)
    save_file(tensors, tmp_path / "w.safetensors")
    told = load(tmp_path, "w.safetensors").provenance
    assert told["missing"] == ["layer1.0.bn1.weight"]
    assert told["mismatched"] == ["layer1.0.bn1.bias"]
    assert told["unexpected"] == ["extra.weight"]
    assert told["fitted"] == told["tensors"] - 2
    assert "missing: layer1.0.bn1.weight; mismatched: layer1.0.bn1.bias; unexpected: extra.weight" in sentence(told)


def test_old_files_without_batch_norm_counters_fit_entirely(tmp_path: Path) -> None:
    save_file({key: value for key, value in state().items() if not key.endswith("num_batches_tracked")}, tmp_path / "w.safetensors")
    told = load(tmp_path, "w.safetensors").provenance
    assert told["fitted"] == told["tensors"]
    assert told["missing"] == []


def test_another_networks_weights_are_refused(tmp_path: Path) -> None:
    save_file(state("mobilenetv3_small_050"), tmp_path / "w.safetensors")
    with pytest.raises(MedtlError, match=r"w.safetensors does not fit test_resnet: only 0 of the network's \d+ tensors fit") as refusal:
        load(tmp_path, "w.safetensors")
    assert "missing in the file: conv1.0.weight" in str(refusal.value)
    assert "unknown to the network: blocks.0.0" in str(refusal.value)


class Evil:
    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.mark,)


def test_a_pickle_that_runs_code_is_not_opened(tmp_path: Path) -> None:
    mark = tmp_path / "it ran"
    torch.save({"state_dict": state(), "extra": Evil(mark)}, tmp_path / "evil.pth")
    (tmp_path / "bare.pt").write_bytes(pickle.dumps(Evil(mark)))
    for file in ("evil.pth", "bare.pt"):
        with pytest.raises(MedtlError, match="holds more than tensors, which could run code when opened"):
            load(tmp_path, file)
    assert not mark.exists()


def test_files_that_are_no_weights(tmp_path: Path) -> None:
    (tmp_path / "cut.safetensors").write_bytes(b"\xff" * 40)
    (tmp_path / "empty.pth").write_bytes(b"")
    (tmp_path / "w.onnx").write_bytes(b"x")
    torch.save([torch.zeros(2)], tmp_path / "list.pth")
    save_file({"conv1.0.weight": torch.full((2,), float("nan"))}, tmp_path / "nan.safetensors")
    for file, words in {
        "cut.safetensors": "cannot be read as weights",
        "empty.pth": "cannot be read as weights",
        "w.onnx": "weights are .safetensors files, or PyTorch's",
        "list.pth": "holds no tensors by name",
        "nan.safetensors": "not finite, in conv1.0.weight",
        "nowhere.safetensors": "there is no file or folder",
        ".": "is no medtl model package",
    }.items():
        with pytest.raises(MedtlError, match=words):
            load(tmp_path, file)


def test_a_model_package_gives_its_backbone(tmp_path: Path) -> None:
    network = load(tmp_path, "none", pad_type="same", name="mobilenetv3_small_050")
    package = tmp_path / "run" / "model"
    package.mkdir(parents=True)
    (package / "model.json").write_text(json.dumps({"format": 1, "network": network.description}))
    tensors = {f"network.{key}": value for key, value in network.state_dict().items()} | {"head.weight": torch.zeros(2, network.dim)}
    save_file(tensors, package / "weights-0.safetensors")
    for folder in ("run/model", "run"):
        taken = build_network(BackboneSettings(name="mobilenetv3_small_050", weights=folder), IMAGE, tmp_path, seed=9)
        assert taken.description == network.description
        assert holds(taken, network.backbone.state_dict())
        assert taken.provenance["source"] == "package"
        assert taken.provenance["fitted"] == taken.provenance["tensors"]
    with pytest.raises(MedtlError, match="are of 'mobilenetv3_small_050'"):
        load(tmp_path, "run/model")


@pytest.mark.parametrize(
    "name", ["vgg11", "densenet121", "convnext_atto", "regnety_002", "efficientnet_b0", "inception_v3", "repvgg_a0", "hrnet_w18_small"]
)
def test_timms_own_states_fit_its_backbones(name: str) -> None:
    """The whole network's state into the one without classifier, directly and through timm's renaming of original checkpoints."""
    library = family("timm")
    with torch.device("meta"):
        whole, body = timm.create_model(name), library.build(name, {})
    for tensors in (whole.state_dict(), library.translate(body, whole.state_dict())):
        told = fit(body, tensors, library.heads(name), name)
        assert told["fitted"] == told["tensors"]
        assert not told["unexpected"]
        assert told["head"]


@pytest.mark.parametrize("name", ["vgg11", "densenet121"])
def test_torchvisions_keys_become_timms(name: str) -> None:
    """Where the same name has other keys in timm (VGG's hidden layers are convolutions there), timm renames them."""
    from torchvision import models

    library = family("timm")
    with torch.device("meta"):
        original, body = models.get_model(name, weights=None).state_dict(), library.build(name, {})
    told = fit(body, library.translate(body, original), library.heads(name), name)
    assert told["fitted"] == told["tensors"]


def test_torchvisions_file_in_timms_network_gives_the_same_features(tmp_path: Path) -> None:
    from torchvision.models import resnet18

    original = resnet18(weights=None).eval()
    torch.save(original.state_dict(), tmp_path / "w.pth")
    network = load(tmp_path, "w.pth", name="resnet18").eval()
    original.fc = torch.nn.Identity()
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(network.features(x), original((x - network.mean) / network.std), atol=1e-4, rtol=1e-4)
