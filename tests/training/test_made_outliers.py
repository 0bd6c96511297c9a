"""Outliers made of images: of the same form, repeatable, and what they say they are."""

from __future__ import annotations

import numpy as np
import pytest

from medtl.training.made_outliers import KINDS, made


@pytest.fixture(params=[(5, 32, 32, 1), (3, 33, 33, 3), (1, 16, 16, 1)])
def images(request: pytest.FixtureRequest) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 200, request.param, np.uint8)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_form_stays_and_the_seed_repeats(images: np.ndarray, kind: str) -> None:
    before = images.copy()
    found = made(images, kind, 4)
    assert (found.shape, found.dtype) == (images.shape, np.uint8)
    assert np.array_equal(images, before)
    assert np.array_equal(found, made(images, kind, 4))
    assert not np.array_equal(found, images)


def test_they_are_what_they_are_called(images: np.ndarray) -> None:
    assert np.array_equal(made(images, "inverted", 0), 255 - images)
    assert np.ptp(made(images, "blank", 0), axis=(1, 2)).max() == 0
    turned = made(images, "rotated", 0)
    assert all(any(np.array_equal(np.rot90(each, turn), other) for turn in (1, 3)) for each, other in zip(images, turned, strict=True))
    if images.shape[1] % 4 == 0:
        shuffled = made(images, "shuffled", 0)
        assert np.array_equal(np.sort(shuffled, axis=None), np.sort(images, axis=None))
    assert made(images, "corner", 0).max() <= images.max()
