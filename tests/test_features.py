"""Frozen layers run once per image and view; what is kept belongs to these weights, images and views alone."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from medtl.augmentation import AugmentationSettings, augment
from medtl.features import PLAIN, Frozen, augmented, cached, cached_features, mirrored

CPU = torch.device("cpu")


class Network(nn.Module):
    """The image's own pixels as features; remembers what it was shown."""

    dim = 64

    def __init__(self):
        super().__init__()
        self.description = {"architecture": "pixels"}
        self.scale = nn.Parameter(torch.ones(1))
        self.seen: list[bytes] = []

    def features(self, x):
        self.seen += [image.numpy().tobytes() for image in x]
        return x.flatten(1) * self.scale


@pytest.fixture
def store():
    images = np.random.default_rng(0).integers(0, 256, (70, 8, 8, 1), np.uint8)
    rows = pd.DataFrame({"sha256": [f"{number:064x}" for number in range(70)], "frame": 0})
    return SimpleNamespace(read=lambda positions: images[positions], measurements=rows, key="store", images=images)


def _wanted(images):
    return torch.from_numpy(images.astype(np.float32)).flatten(1) / 255


def test_every_image_is_shown_once_per_view(store, tmp_path):
    network, places = Network(), np.arange(70)
    for view in (PLAIN, mirrored((3,))):
        network.seen.clear()
        found = cached_features(network, store, places, CPU, tmp_path, view=view)
        assert len(set(network.seen)) == 70
        torch.testing.assert_close(found, _wanted(view.show(store.images, places)))
        network.seen.clear()
        again = cached_features(network, store, places[::-1], CPU, tmp_path, view=view)
        assert torch.equal(again, found.flip(0))
        assert not network.seen


def test_mirrored_views_mirror_what_the_classifier_mirrors(store, tmp_path):
    for axes in ((), (3,), (2,), (2, 3)):
        shown = torch.from_numpy(mirrored(axes).show(store.images, np.arange(70))).permute(0, 3, 1, 2)
        assert torch.equal(shown, torch.from_numpy(store.images).permute(0, 3, 1, 2).flip(axes))


def test_an_augmented_view_is_the_augmentation_of_that_number_and_place(store, tmp_path):
    settings, network = AugmentationSettings(rotate=90, translate=0.5), Network()
    places = np.array([5, 9])
    first = cached_features(network, store, places, CPU, tmp_path, view=augmented(settings, 3, 1))
    torch.testing.assert_close(first, _wanted(augment(store.images[places], places, settings, 3, 1)))
    assert not torch.equal(first, cached_features(network, store, places, CPU, tmp_path, view=augmented(settings, 3, 2)))
    assert augmented(settings, 3, 0) is PLAIN
    store.measurements.loc[:, "sha256"] = "same"  # one file in two places: its views differ
    twice = cached_features(network, store, places, CPU, tmp_path, view=augmented(settings, 3, 1))
    assert torch.equal(twice, first)


def test_other_weights_other_store_other_part_are_not_mixed_up(store, tmp_path):
    network, places = Network(), np.arange(3)
    plain = cached_features(network, store, places, CPU, tmp_path)
    network.scale.data.fill_(2.0)
    torch.testing.assert_close(cached_features(network, store, places, CPU, tmp_path), 2 * plain)
    part = Frozen(lambda x: network.features(x)[:, :4], network, (4,), " below 1")
    torch.testing.assert_close(cached(part, store, places, CPU, tmp_path), 2 * plain[:, :4])
    torch.testing.assert_close(cached_features(network, store, places, CPU, tmp_path), 2 * plain)


def test_a_torn_shard_is_computed_again(store, tmp_path):
    network, places = Network(), np.arange(3)
    found = cached_features(network, store, places, CPU, tmp_path)
    for shard in tmp_path.rglob("*.npy"):
        shard.write_bytes(shard.read_bytes()[:100])
    assert torch.equal(cached_features(network, store, places, CPU, tmp_path), found)


def test_no_images_give_no_features(store, tmp_path):
    assert cached_features(Network(), store, np.empty(0, np.int64), CPU, tmp_path).shape == (0, 64)
