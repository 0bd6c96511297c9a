"""Every kind of file becomes the same upright picture; what is none is refused in a sentence."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from medtl.app.reading import LARGEST_SHOWN, Unreadable, read
from medtl.imaging.settings import ImageSettings

SETTINGS = ImageSettings(size=32)


def small(picture: np.ndarray) -> np.ndarray:
    """Back to the marker's size, grey."""
    assert picture.shape[2] == 3
    return cv2.resize(picture[..., 0], (60, 40), interpolation=cv2.INTER_AREA).astype(int)


@pytest.mark.parametrize("kind", ["png", "jpeg", "tiff", "npz", "nifti", "picture", "dicom", "several", "frames"])
def test_the_picture_is_upright_and_whole(files, marker, kind):
    reading = read(files[kind], None, SETTINGS)
    assert reading.original == (40, 60)
    assert reading.pixels.shape == (32, 32, 3)
    assert reading.picture.shape[0] / reading.picture.shape[1] == pytest.approx(40 / 60, abs=0.01)
    assert np.abs(small(reading.picture) - marker).mean() < 4


@pytest.mark.parametrize(("kind", "count", "first"), [("several", 3, 1), ("frames", 3, 1), ("npz", 3, 1), ("nifti", 5, 3), ("png", 1, 1)])
def test_files_with_several_images(files, marker, kind, count, first):
    reading = read(files[kind], None, SETTINGS)
    assert (reading.number, reading.count) == (first, count)
    if count > 1:
        second = read(files[kind], 2, SETTINGS)
        assert second.number == 2
        expected = marker if kind == "nifti" else np.flipud(marker)
        assert np.abs(small(second.picture) - expected).mean() < 4
        with pytest.raises(Unreadable, match=f"holds {count} images and number 9 was asked for; choose one from 1 to {count}"):
            read(files[kind], 9, SETTINGS)


@pytest.mark.parametrize("kind", ["png", "dicom"])
def test_a_file_with_one_image_has_no_seventh(files, kind):
    assert read(files[kind], 1, SETTINGS).number == 1
    with pytest.raises(Unreadable, match="the file holds one image and number 7 was asked for; ask without a number, or for 1"):
        read(files[kind], 7, SETTINGS)


@pytest.mark.parametrize(("kind", "sentence"), [("empty", "is empty"), ("text", "neither DICOM"), ("cut", "broken|cut")])
def test_what_is_no_image_is_refused(files, kind, sentence):
    with pytest.raises(Unreadable, match=sentence) as refusal:
        read(files[kind], None, SETTINGS)
    assert "ZZCANARY" not in str(refusal.value)


def test_a_large_image_is_shown_smaller(tmp_path, marker):
    cv2.imwrite(str(tmp_path / "large.png"), cv2.resize(marker, (3000, 2000)))
    reading = read(tmp_path / "large.png", None, SETTINGS)
    assert reading.original == (2000, 3000)
    assert reading.picture.shape[1] == LARGEST_SHOWN
    assert np.abs(small(reading.picture) - marker).mean() < 8


def test_a_broken_npz_is_refused(tmp_path):
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(Unreadable, match="the archive cannot be opened"):
        read(tmp_path / "broken.npz", None, SETTINGS)
