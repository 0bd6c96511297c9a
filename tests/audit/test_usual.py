"""Where any two pictures agree, agreement alone makes no copy."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from medtl.audit import same_picture
from medtl.audit.same_picture import SAME, agreement, thumbnail
from medtl.audit.usual import same_from


def noise(seed: int) -> NDArray[np.float32]:
    """(128, 128) clouds."""
    drawn = np.random.default_rng(seed).normal(size=(128, 128)).astype(np.float32)
    return sum((cv2.GaussianBlur(drawn, (0, 0), width) * width for width in (1.5, 4, 12)), np.zeros((128, 128), np.float32))


def picture(seed: int, scheme: float) -> NDArray[np.uint8]:
    """A thumbnail of what all have (as much as `scheme`) and what this one has."""
    shown = scheme * noise(0) + (1 - scheme) * noise(seed)
    scaled = (shown - shown.min()) / (shown.max() - shown.min())
    return thumbnail((255 * scaled).astype(np.uint8)[..., None])


def test_different_pictures_leave_the_threshold_alone() -> None:
    assert same_from(np.stack([picture(seed, 0.0) for seed in range(1, 30)])) == SAME


def test_pictures_of_one_scheme_raise_it_above_all_their_pairs() -> None:
    pictures = np.stack([picture(seed, 0.72) for seed in range(1, 30)])
    found = [agreement(one, other) for place, one in enumerate(pictures) for other in pictures[:place]]
    assert np.median(found) > SAME
    assert max(found) < same_from(pictures) < 1


def test_few_pictures_have_no_usual() -> None:
    assert same_from(np.stack([picture(1, 0.9), picture(2, 0.9)])) == same_picture.SAME
