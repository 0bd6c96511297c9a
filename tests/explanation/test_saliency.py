"""Saliency keeps its contract for every family of networks, agrees with the published formulas, and lies where the answer comes from."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.visualize import GradCAM
from torch import Tensor, nn
from torch.nn.functional import interpolate

from medtl.backbones.description import Description
from medtl.backbones.network import Network
from medtl.errors import MedtlError
from medtl.explanation.saliency import _member_evidence, as_shares, contrast, evidence, saliency, saliency_in, saliency_of_every_class
from medtl.module.classifier import VIEWS, as_input

AVERAGED = {"mobilenetv2_050": 64, "resnet18": 64, "densenet121": 64, "efficientnet_b0": 64, "squeezenet1_1": 64}
"""Global average pooling and a linear head: the class activation map in closed form."""
OTHERS = {"alexnet": 96, "vgg11": 64, "test_convnext": 64, "mobilenetv3_small_050": 64}
"""Layers between pooling and head."""


def noise(count: int, size: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, size, size, channels), dtype=np.uint8)


class Whole(nn.Module):
    """A member as MONAI's Grad-CAM wants it: the last maps are a layer's output, the scores the module's."""

    def __init__(self, member):
        super().__init__()
        self.member = member
        self.maps = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        maps = self.maps(self.member.network.maps(x.requires_grad_())[0])
        return contrast(self.member.classify(self.member.network.pool([maps.clone()])))


@pytest.mark.parametrize(("name", "size"), {**AVERAGED, **OTHERS}.items())
def test_every_family_gives_maps_that_agree_with_monai(model, name, size):
    made, images = model(name, size, classes=3), noise(2, size)
    maps = saliency(made, images, [1, 2])
    assert maps.shape == (2, size, size)
    assert maps.dtype == np.float32
    assert np.isfinite(maps).all()
    assert maps.min() >= 0
    assert maps.max() <= 1
    member, batch = made.members[0], as_input(torch.from_numpy(images))
    for i, k in enumerate([1, 2]):
        *_, seen = member.with_maps(torch.from_numpy(images[i : i + 1]))
        ours = _member_evidence(member, seen, torch.tensor([[k]]), contrast).relu()
        theirs = GradCAM(Whole(member).eval(), "maps").compute_map(batch[i : i + 1], class_idx=k)
        torch.testing.assert_close(ours, theirs, atol=1e-5 * float(theirs.detach().max()), rtol=1e-3)


def test_a_model_that_averages_flips_explains_all_its_views(model):
    """The map of a mirrored image is the mirrored map: each view's evidence is turned back before it is averaged."""
    made, images = model("resnet18", 64, classes=3), noise(2, 64)
    plain = evidence(made, images, np.array([[1], [2]]))
    made.members[0].views = VIEWS["horizontal"]
    maps, mirrored = (evidence(made, view, np.array([[1], [2]])) for view in (images, images[:, :, ::-1]))
    np.testing.assert_allclose(mirrored, maps[..., ::-1], atol=1e-4 * np.abs(maps).max())
    assert np.abs(maps - plain).max() > 0.01 * np.abs(plain).max(), "the mirror image was not looked at"


@pytest.mark.parametrize(("name", "features"), [("test_resnet", "last"), ("resnet18", "stages"), ("densenet121", "last")])
def test_the_pass_that_answers_gives_the_maps_too(model, name, features):
    """Logits to the bit those of a look without maps, also where a head works in place, of several members that look at mirror images."""
    made = model(name, 64, classes=3, members=2, features=features)
    for member in made.members:
        member.views = VIEWS["both"]
    images = noise(3, 64)
    logits, unlike, maps = made.look_with_maps(images)
    expected = made.look(images)
    np.testing.assert_array_equal(logits, expected[0])
    np.testing.assert_array_equal(unlike, expected[1])
    np.testing.assert_array_equal(saliency_in(made, maps), saliency_of_every_class(made, images))
    assert [len(member) for member in maps] == [4, 4]


@pytest.mark.parametrize(("name", "size"), AVERAGED.items())
def test_with_average_pooling_it_is_the_class_activation_map(model, name, size):
    made, images = model(name, size, classes=3), noise(2, size)
    member = made.members[0]
    with torch.no_grad():
        (maps,) = member.network.maps(as_input(torch.from_numpy(images)))
        logits = member.classify(member.network.pool([maps]))
    against = torch.stack([member.head.weight[k] - member.head.weight[[j for j in range(3) if j != k]].mean(dim=0) for k in range(3)])
    activation = torch.einsum("kf,bfhw->bkhw", against, maps) / maps[0, 0].numel()
    expected = interpolate(activation, (size, size), mode="bilinear", align_corners=False).numpy()
    found = evidence(made, images, np.tile(np.arange(3), (2, 1)))
    assert np.allclose(found, expected, atol=1e-4 * np.abs(expected).max())
    bias = contrast(member.head.bias[None])
    assert torch.allclose(activation.sum(dim=(2, 3)) + bias, contrast(logits), atol=1e-3)


@pytest.mark.parametrize("name", ["resnet18", "test_resnet"])
def test_the_evidence_of_every_stage_adds_up_to_the_score(model, name):
    """Means and a linear head: what all stages say of all places is the score but its bias, also after coarse maps were enlarged."""
    made, images = model(name, 64, classes=3, features="stages"), noise(2, 64)
    member = made.members[0]
    with torch.no_grad():
        maps = member.network.maps(as_input(torch.from_numpy(images)))
        logits = member.classify(member.network.pool(maps))
        found = _member_evidence(member, [maps], torch.tensor([[0, 1, 2]] * 2))
    assert found.shape[2:] == maps[0].shape[2:]
    assert torch.allclose(found.sum(dim=(2, 3)) + contrast(member.head.bias[None]), contrast(logits), atol=1e-3)


def test_two_classes_are_one_contrast(model):
    made, images = model("test_resnet", 32), noise(3, 32)
    one, other = (evidence(made, images, np.full((3, 1), k)) for k in (0, 1))
    assert np.allclose(one, -other, atol=1e-6)


def test_every_class_at_once_is_each_class_alone(model):
    made, images = model("test_resnet", 32, classes=4), noise(3, 32)
    together = saliency_of_every_class(made, images)
    assert together.shape == (3, 4, 32, 32)
    for k in range(4):
        assert np.allclose(together[:, k], saliency(made, images, k), atol=1e-6)


def test_an_ensemble_is_the_mean_of_its_members(model):
    made, images = model("test_resnet", 32, members=3), noise(2, 32)
    asked = np.ones((2, 1), np.int64)
    together = evidence(made, images, asked)
    members, alone = made.members, []
    for member in members:
        made.members = [member]
        alone.append(evidence(made, images, asked))
    assert np.allclose(together, np.mean(alone, axis=0), atol=1e-6)


def test_many_images_come_in_batches_without_a_trace(model, monkeypatch):
    made, images = model("test_resnet", 32), noise(7, 32)
    whole = saliency(made, images, 1)
    monkeypatch.setattr("medtl.explanation.saliency.BATCH", 3)
    assert np.allclose(saliency(made, images, 1), whole, atol=1e-5)
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in made.members[0].parameters())


def test_shares_are_of_the_strongest_evidence_for_or_against():
    maps = np.array([[[-1.0, 0.0], [-2.0, -3.0]], [[0.5, -1.0], [2.0, 0.0]], [[0.5, -4.0], [1.0, 0.0]], np.zeros((2, 2))], np.float32)
    nothing = [[0, 0], [0, 0]]
    assert as_shares(maps).tolist() == [nothing, [[0.25, 0], [1, 0]], [[0.125, 0], [0.25, 0]], nothing]


def test_what_the_model_does_not_take_is_refused(model):
    made = model("test_resnet", 32)
    with pytest.raises(MedtlError, match=r"takes uint8 \(B, 32, 32, 3\)"):
        saliency(made, noise(1, 48), 0)
    with pytest.raises(MedtlError, match="class 2 was asked for; this model has 2"):
        saliency(made, noise(1, 32), 2)
    with pytest.raises(MedtlError, match="2 images and 3 classes"):
        saliency(made, noise(2, 32), [0, 1, 1])


class Bright(nn.Module):
    """Two maps at an eighth of the side: how far a cell is above mid-grey, and how far below."""

    def forward_features(self, x: Tensor) -> Tensor:
        cells = nn.functional.avg_pool2d(x, 8) - 0.5
        return torch.cat([cells.relu(), (-cells).relu()], dim=1)

    def forward_head(self, maps: Tensor, pre_logits: bool = True) -> Tensor:
        return maps.mean(dim=(2, 3))


def test_it_lies_where_the_answer_comes_from(model):
    """A network that answers by a bright disc alone, discs at known places: against the share of a blob in the centre, and of the area."""
    network = Network(Bright(), Description(architecture="bright", library="timm", mean=(0.0,), std=(1.0,), dim=2))
    made = model(network, 128, channels=1)
    made.members[0].head.weight.copy_(torch.tensor([[-1.0, 1.0], [1.0, -1.0]]))
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[0:128, 0:128]
    blob = np.exp(-((rows - 63.5) ** 2 + (columns - 63.5) ** 2) / (2 * 32**2))
    ours, centre, area = [], [], []
    for _ in range(20):
        middle = generator.integers(20, 108, 2)
        disc = (rows - middle[0]) ** 2 + (columns - middle[1]) ** 2 < 14**2
        image = (generator.normal(110, 10, (128, 128)) + 120 * disc).clip(0, 255).astype(np.uint8)
        heat = saliency(made, image[None, ..., None], 1)[0]
        ours.append(heat[disc].sum() / heat.sum())
        centre.append(blob[disc].sum() / blob.sum())
        area.append(disc.mean())
    assert min(ours) > 0.6
    assert np.mean(ours) > 5 * np.mean(centre)
    assert np.mean(ours) > 10 * np.mean(area)
