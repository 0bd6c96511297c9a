"""What each view takes away, and what it leaves."""

from __future__ import annotations

import cv2
import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medtl.stress.regions import BLANK
from medtl.stress.views import BY_NAME, NOISE, VIEWS

some_images = arrays.arrays(
    np.uint8, st.tuples(st.integers(1, 2), st.just(24), st.just(24), st.sampled_from([1, 3])), elements=st.integers(0, 255)
)


def smooth(size: int = 96, channels: int = 1) -> np.ndarray:
    """(1, S, S, C): grey that rises slowly to the right and downward, from 60 to 200."""
    ramp = np.add.outer(np.arange(size), np.arange(size)) / (2 * size - 2)
    return np.repeat((60 + 140 * ramp)[None, ..., None], channels, axis=3).astype(np.uint8)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
@given(images=some_images)
def test_every_view_keeps_shape_and_type_and_looks_at_one_image_at_a_time(view, images):
    before = images.copy()
    shown = view.show(images)
    assert (shown.shape, shown.dtype) == (images.shape, np.uint8)
    assert np.array_equal(images, before), "the images that were given stay as they are"
    assert np.array_equal(view.show(images[-1:])[0], shown[-1]), "deterministic, and whatever stands beside it"


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_every_view_changes_a_picture_and_leaves_its_padding(view):
    picture = smooth(channels=3)
    cv2.putText(picture[0], "L", (8, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255), 2)
    picture[:, :20] = 0
    shown = view.show(picture)
    assert not np.array_equal(shown, picture)
    assert not shown[:, :20].any()


def test_names_are_unique_and_the_strengths_of_a_family_rise():
    assert len(BY_NAME) == len(VIEWS)
    assert list(NOISE) == sorted(NOISE)
    picture = np.full((1, 64, 64, 1), 128, np.uint8)
    spreads = [float(view.show(picture).std()) for view in VIEWS if view.family == "noise"]
    assert np.allclose(np.array(spreads[:4]) / 255, NOISE[:4], rtol=0.05)  # the fifth is cut off at black and white
    assert spreads == sorted(spreads)


def test_border_and_centre_are_blanked_where_they_say():
    picture = smooth(80)
    border, centre = (BY_NAME[name].show(picture)[0, ..., 0] for name in ("border-only", "centre-masked"))
    assert (border[10:70, 10:70] == BLANK).all()
    assert (centre[20:60, 20:60] == BLANK).all()
    outside = np.ones((80, 80), bool)
    outside[10:70, 10:70] = False
    assert np.array_equal(border[outside], picture[0, ..., 0][outside])
    outside[:] = True
    outside[20:60, 20:60] = False
    assert np.array_equal(centre[outside], picture[0, ..., 0][outside])


def test_the_middle_is_that_of_the_picture_not_of_its_padding():
    picture = smooth(80)
    picture[:, :, :40] = 0
    shown = BY_NAME["border-only"].show(picture)[0, ..., 0]
    assert (shown[10:70, 45:75] == BLANK).all()
    assert np.array_equal(shown[:, 40:45], picture[0, :, 40:45, 0])


@pytest.mark.parametrize("channels", [1, 3])
def test_letters_and_ink_outside_the_middle_go_and_what_is_in_the_middle_stays(channels):
    clean = smooth(96, channels)
    marked = clean.copy()
    cv2.putText(marked[0], "R", (6, 22), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255,) * channels, 1, cv2.LINE_AA)
    cv2.circle(marked[0], (88, 88), 3, (20,) * channels, -1, cv2.LINE_AA)
    cv2.circle(marked[0], (48, 48), 3, (255,) * channels, -1)
    shown = BY_NAME["markers-removed"].show(marked)
    assert np.abs(shown[0, :30, :30].astype(int) - clean[0, :30, :30]).max() <= 10
    assert np.abs(shown[0, 80:, 80:].astype(int) - clean[0, 80:, 80:]).max() <= 10
    assert np.array_equal(shown[0, 40:56, 40:56], marked[0, 40:56, 40:56])
    assert np.array_equal(BY_NAME["markers-removed"].show(clean), clean), "nothing to remove"


def test_exposure_is_a_factor_cut_off_at_white():
    picture = np.array([30, 90, 240, 255], np.uint8).reshape(1, 2, 2, 1)
    assert BY_NAME["exposure-up"].show(picture).ravel().tolist() == [40, 120, 255, 255]
    assert BY_NAME["exposure-down"].show(picture).ravel().tolist() == [20, 60, 160, 170]


def test_colour_stays_colour_in_a_jpeg():
    picture = np.zeros((1, 32, 32, 3), np.uint8)
    picture[..., 0] = 200
    assert np.abs(BY_NAME["jpeg"].show(picture).astype(int) - picture).max() <= 10


def test_a_mark_close_to_the_body_goes_although_the_dark_gap_leads_to_the_middle():
    clean = np.full((1, 96, 96, 1), 20, np.uint8)
    clean[:, :, 28:] = 190
    clean[:, 26:30, 28:] = 100
    marked = clean.copy()
    marked[:, 20:34, 13:21] = 250
    gap = cv2.morphologyEx(marked[0, ..., 0], cv2.MORPH_BLACKHAT, np.ones((9, 9), np.uint8))
    assert (gap[26:30, 21:40] > 40).all(), "else this tests nothing"
    shown = BY_NAME["markers-removed"].show(marked)
    assert shown[0, 20:34, 13:21].mean() < 120
    assert np.array_equal(shown[0, 26:30, 40:], clean[0, 26:30, 40:])
