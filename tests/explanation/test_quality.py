"""Measures of saliency against what they must give where the answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from medtl.explanation import quality
from medtl.explanation.quality import centre_blob, energy_inside, mean_of_the_others, random_maps, randomised, removal
from medtl.explanation.saliency import saliency

SIZE = 64


def test_energy_is_the_share_inside_and_nothing_for_an_empty_map():
    maps = np.zeros((3, 4, 4), np.float32)
    maps[0, 1, 1], maps[0, 3, 3] = 3, 1
    maps[1] = 1
    masks = np.zeros((3, 4, 4), bool)
    masks[:, :2, :2] = True
    assert energy_inside(maps, masks).tolist() == [0.75, 0.25, 0.0]


def test_a_centre_blob_is_symmetric_and_falls_outward():
    blob = centre_blob((5, 9))
    assert blob.shape == (5, 9)
    assert np.allclose(blob, blob[::-1, ::-1])
    assert np.unravel_index(blob.argmax(), blob.shape) == (2, 4)
    assert blob[2, 0] == pytest.approx(np.exp(-0.5 * (4 / (9 / 5)) ** 2))


def test_the_mean_of_the_others_leaves_the_own_map_out():
    maps = np.arange(3.0).reshape(3, 1, 1) * np.ones((3, 2, 2))
    assert mean_of_the_others(maps)[:, 0, 0].tolist() == [1.5, 1.0, 0.5]


class BrightCorner(nn.Module):
    """A classifier whose odds of class 1 grow with the brightness of the upper left eighth alone."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        corner = images[:, : SIZE // 8, : SIZE // 8].float().mean(dim=(1, 2, 3)) / 255
        return torch.stack([torch.zeros(len(images)), 12 * corner - 6], dim=1)

    def with_features(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self(images), torch.zeros(len(images), 1)


@pytest.fixture
def corner(model):
    made = model("test_resnet", SIZE, channels=1)
    made.members = [BrightCorner()]
    return made


def bright_corner(number: int = 2) -> np.ndarray:
    images = np.zeros((number, SIZE, SIZE, 1), np.uint8)
    images[:, : SIZE // 8, : SIZE // 8] = 255
    return images


def test_removal_by_the_true_map_is_best_by_its_opposite_worst(corner):
    images, classes = bright_corner(), np.ones(2, np.int64)
    truth = np.zeros((2, 8, 8))
    truth[:, 0, 0] = 1
    right, wrong, random = (removal(corner, images, classes, maps) for maps in (truth, 1 - truth, random_maps(2)))
    assert (right.deletion < 0.25).all()
    assert (right.insertion > 0.75).all()
    assert (wrong.deletion > 0.75).all()
    assert (wrong.insertion < 0.25).all()
    assert ((right.deletion < random.deletion) & (random.deletion < wrong.deletion)).all()


def test_removal_begins_with_the_whole_image_and_ends_with_the_blurred_one(corner, monkeypatch):
    seen = []
    truly = quality._probability
    monkeypatch.setattr(quality, "_probability", lambda model, images, classes: seen.append(images) or truly(model, images, classes))
    images = np.random.default_rng(0).integers(0, 256, (1, SIZE, SIZE, 1), dtype=np.uint8)
    removal(corner, images, np.zeros(1, np.int64), random_maps(1))
    kept, back = seen[0::2], seen[1::2]
    assert np.array_equal(kept[0], images)
    assert np.array_equal(back[-1], images)
    assert np.array_equal(kept[-1], back[0])
    assert kept[-1].std() < images.std() / 4


def test_areas_are_trapezoids_by_hand():
    assert quality._area(np.array([[1.0], [0.5], [0.0]])).tolist() == [0.5]
    assert quality._area(np.array([[0.0], [1.0], [1.0]])).tolist() == [0.75]


def test_a_map_of_any_size_becomes_an_order_of_the_cells():
    one = np.zeros((SIZE, SIZE))
    one[8:16, 24:32] = 1
    assert quality._ranks(one)[1, 3] == 0
    assert sorted(quality._ranks(random_maps(1)[0]).ravel().tolist()) == list(range(64))


def test_a_randomised_network_has_the_same_numbers_in_other_places_and_other_maps(model):
    made = model("test_resnet", SIZE)
    other = randomised(made)
    pairs = list(zip(made.members[0].named_parameters(), other.members[0].named_parameters(), strict=True))
    assert all(torch.equal(one, two) for (_, one), (_, two) in pairs if one.ndim == 1)
    moved = [torch.equal(one, two) for (_, one), (_, two) in pairs if one.ndim > 1]
    assert not any(moved)
    assert all(torch.allclose(one.flatten().sort()[0], two.flatten().sort()[0]) for (_, one), (_, two) in pairs)
    images = np.random.default_rng(0).integers(0, 256, (2, SIZE, SIZE, 3), dtype=np.uint8)
    assert not np.allclose(saliency(made, images, 1), saliency(other, images, 1))
    again = randomised(made)
    assert np.array_equal(saliency(again, images, 1), saliency(other, images, 1)), "by its seed"
