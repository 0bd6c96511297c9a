"""Augmentation: what it draws depends on (seed, epoch, image) alone, and what it draws is what it says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medtl.augmentation import AugmentationSettings, augment, draw

NEUTRAL = {"rotate": 0, "scale": 0, "translate": 0, "brightness": 0, "contrast": 0}


def _images(n: int = 4, size: int = 24, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, size, size, channels), np.uint8)


def test_neutral_settings_change_nothing():
    images = _images()
    assert augment(images, np.arange(4), AugmentationSettings(**NEUTRAL), 0, 0) is images


@pytest.mark.parametrize("channels", [1, 3])
def test_an_image_is_changed_alike_in_every_batch(channels):
    images, settings = _images(channels=channels), AugmentationSettings(flip="both")
    together = augment(images, np.arange(4), settings, seed=3, epoch=2)
    alone = augment(images[2:3], np.array([2]), settings, seed=3, epoch=2)
    assert np.array_equal(together[2:3], alone)
    assert together.shape == images.shape
    assert together.dtype == np.uint8
    assert not np.array_equal(together[2:3], augment(images[2:3], np.array([2]), settings, seed=3, epoch=3))
    assert not np.array_equal(together[2:3], augment(images[2:3], np.array([2]), settings, seed=4, epoch=2))


def test_flips_are_exact_mirrors():
    images, settings = _images(1), AugmentationSettings(flip="both", **NEUTRAL)
    mirrors = {image.tobytes() for image in (images[0], images[0][:, ::-1], images[0][::-1], images[0][::-1, ::-1])}
    seen = {augment(images, np.array([0]), settings, 0, epoch).tobytes() for epoch in range(40)}
    assert seen == mirrors


@given(seed=st.integers(0, 2**31 - 1), epoch=st.integers(0, 1000), position=st.integers(0, 10**6))
def test_parameters_stay_within_their_ranges(seed, epoch, position):
    settings = AugmentationSettings(rotate=20, scale=0.25, translate=0.1, brightness=0.1, contrast=0.3)
    (matrix,), (table,) = draw(settings, seed, epoch, np.array([position]), size=100)
    zoom = np.sqrt(np.linalg.det(matrix[:, :2]))
    assert 1 / 1.25 - 1e-9 <= zoom <= 1.25 + 1e-9
    assert abs(np.rad2deg(np.arctan2(matrix[0, 1], matrix[0, 0]))) <= 20 + 1e-9
    centre = matrix @ np.array([49.5, 49.5, 1])
    assert np.all(np.abs(centre - 49.5) <= 10 + 1e-9)
    assert np.all(np.diff(table.astype(int)) >= 0)


def test_each_image_has_the_numbers_of_its_own_generator():
    """So that a run of today draws what one of yesterday drew, however the generator is handled."""
    settings = AugmentationSettings(rotate=0, scale=0, translate=0, brightness=1, contrast=0)
    _, tables = draw(settings, 5, 3, np.array([9, 0, 2**31]), size=10)
    for position, table in zip((9, 0, 2**31), tables, strict=True):
        brightness = np.random.Generator(np.random.Philox(key=[5, (3 << 32) | position])).random(8)[7] * 2 - 1
        assert np.array_equal(table, np.clip(np.rint(255 * (np.arange(256) / 255 + brightness)), 0, 255))


def test_draws_fill_their_ranges():
    settings = AugmentationSettings(rotate=20, scale=0, translate=0, brightness=0, contrast=0)
    angles = [np.rad2deg(np.arctan2(*draw(settings, 0, epoch, np.array([7]), 10)[0][0, 0, 1::-1])) for epoch in range(500)]
    assert -20 < min(angles) < -18
    assert 18 < max(angles) < 20
    assert abs(np.mean(angles)) < 2


@pytest.mark.parametrize("channels", [1, 3])
def test_the_warp_is_bilinear_and_the_table_its_intensity(channels):
    """Against scipy's interpolation of the same matrix in floating point; cv2 calculates with 8-bit weights."""
    from scipy.ndimage import affine_transform, gaussian_filter

    settings = AugmentationSettings(flip="both", rotate=30)
    images = gaussian_filter(_images(6, 48, channels).astype(float), (0, 2, 2, 0))
    images = ((images - images.min()) / np.ptp(images) * 255).astype(np.uint8)
    changed = augment(images, np.arange(6), settings, seed=1, epoch=1)
    for image, found, matrix, table in zip(images, changed, *draw(settings, 1, 1, np.arange(6), 48), strict=True):
        back = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))[:2][::-1, [1, 0, 2]]  # (x, y) to (row, column)
        for channel in range(channels):
            moved = affine_transform(image[..., channel].astype(float), back[:, :2], back[:, 2], order=1, mode="grid-constant")
            assert np.abs(table[np.rint(moved).astype(int)].astype(int) - found[..., channel])[2:-2, 2:-2].max() <= 4
