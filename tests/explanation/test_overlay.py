"""The painted picture: bare where nothing is, coloured where something is, the picture visible everywhere."""

from __future__ import annotations

import numpy as np
import pytest

from medtl.errors import MedtlError
from medtl.explanation.overlay import STRENGTH, heat, overlay


def test_without_saliency_the_picture_is_itself():
    picture = np.random.default_rng(0).integers(0, 256, (8, 6, 3), dtype=np.uint8)
    assert np.array_equal(overlay(picture, np.zeros((8, 6))), picture)
    assert np.array_equal(overlay(picture[..., :1], np.zeros((8, 6))), np.repeat(picture[..., :1], 3, axis=2))


def test_the_strongest_place_is_the_colour_at_the_stated_strength():
    picture = np.zeros((1, 2), np.uint8)
    painted = overlay(picture, np.array([[0.0, 1.0]]))
    brightest = heat(np.ones((1, 1)))[0, 0]
    assert brightest[3] == 255
    assert np.array_equal(painted[0, 1], (brightest[:3] * np.float32(STRENGTH) + 0.5).astype(np.uint8))
    assert brightest[0] > brightest[2]  # viridis ends in yellow: red and blue are not swapped


def test_the_picture_shows_through_the_strongest_place():
    dark, light = (overlay(np.full((1, 1), value, np.uint8), np.ones((1, 1))) for value in (0, 255))
    assert (light.astype(int) - dark).min() >= 255 * (1 - STRENGTH) - 1


def test_another_size_is_refused():
    with pytest.raises(MedtlError, match="same height and width"):
        overlay(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5)))
