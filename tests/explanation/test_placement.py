"""A map goes back to where the preprocessing took the picture from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from medtl.explanation.placement import filled, onto_original, seen
from medtl.imaging.preprocessing import FitSquare
from medtl.imaging.settings import ImageSettings

sides = st.integers(40, 400)


@given(height=sides, width=sides, fit=st.sampled_from(["pad", "crop", "squeeze"]), down=st.floats(0.1, 0.9), across=st.floats(0.1, 0.9))
@example(height=400, width=41, fit="pad", down=0.3, across=0.6)
def test_a_spot_comes_back_to_its_place(height, width, fit, down, across):
    settings = ImageSettings(size=96, fit=fit)
    box = seen((height, width), settings)
    row = box.top + round(down * (box.bottom - box.top - 1))
    column = box.left + round(across * (box.right - box.left - 1))
    rows, columns = np.mgrid[0:height, 0:width]
    spread = max(height, width) / 16
    picture = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * spread**2)).astype(np.float32)
    square = FitSquare(96, fit)(picture)
    back = onto_original(square, (height, width), settings)
    assert back.shape == (height, width)
    inside = (slice(box.top, box.bottom), slice(box.left, box.right))
    weights = back[inside] / back[inside].sum()
    cut = picture[inside] / picture[inside].sum()
    for axis in (0, 1):
        place = np.arange(weights.shape[axis])
        assert abs((weights.sum(axis=1 - axis) * place).sum() - (cut.sum(axis=1 - axis) * place).sum()) < 0.02 * max(height, width) + 1


@pytest.mark.parametrize("original", [(300, 200), (200, 300), (37, 512), (512, 512), (1, 900)])
def test_the_border_of_padding_is_where_the_preprocessing_put_it(original):
    settings = ImageSettings(size=64)
    square = FitSquare(64, "pad")(np.ones(original, np.float32))
    box = filled(original, settings)
    expected = np.zeros((64, 64), np.float32)
    expected[box.top : box.bottom, box.left : box.right] = 1
    assert np.allclose(square, expected, atol=1e-5)


def test_what_a_crop_left_out_stays_empty_at_the_size_shown():
    settings = ImageSettings(size=32, fit="crop")
    found = onto_original(np.ones((32, 32), np.float32), (100, 200), settings, shown=(50, 100))
    assert found.shape == (50, 100)
    assert found[:, 25:75].min() == 1
    assert found[:, :25].max() == found[:, 75:].max() == 0
