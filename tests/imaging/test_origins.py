"""A picture that says how it was taken: by a camera, or off a screen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from PIL.PngImagePlugin import PngInfo

from medtl.imaging.preprocessing import preprocess
from medtl.imaging.reader import read_image
from medtl.imaging.settings import ImageSettings

PICTURE = PIL.Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60), dtype=np.uint8))


def photograph(path: Path, picture: PIL.Image.Image = PICTURE, exposure: bool = True) -> Path:
    exif = PIL.Image.Exif()
    exif[271], exif[272] = "Apple", "iPhone 12"
    if exposure:
        exif.get_ifd(0x8769)[33434] = 0.01
    picture.save(path, exif=exif)
    return path


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_a_camera_is_told_by_what_only_a_camera_writes(tmp_path, suffix):
    assert read_image(photograph(tmp_path / f"x.{suffix}")).receipt.origin == "camera Apple iPhone 12"
    assert read_image(photograph(tmp_path / f"y.{suffix}", exposure=False)).receipt.origin == "", "a scanner has a maker too"


def test_a_screenshot_is_told_by_its_own_words(tmp_path):
    info = PngInfo()
    info.add_text("Software", "gnome-screenshot")
    PICTURE.save(tmp_path / "x.png", pnginfo=info)
    PICTURE.save(tmp_path / "y.png")
    assert [read_image(tmp_path / name).receipt.origin for name in ("x.png", "y.png")] == ["screenshot", ""]


@pytest.mark.parametrize(("colour", "share"), [((200, 150, 120), 1.0), ((120, 118, 110), 0.0)])
def test_colour_is_measured_by_area(tmp_path, colour, share):
    values = np.full((40, 60, 3), colour, np.uint8)
    values[0, 0] = 0
    PIL.Image.fromarray(values).save(tmp_path / "x.png")
    _, measurement = preprocess(tmp_path / "x.png", 0, ImageSettings(size=32))
    assert f'"coloured":{share}' in str(measurement["receipt"])
