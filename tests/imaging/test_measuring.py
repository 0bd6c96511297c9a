"""What is measured of a picture, against the definition."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medtl import measurements
from medtl.errors import Mistakes
from medtl.imaging.image import Receipt, sixteen_bits
from medtl.imaging.measuring import border, histogram, luminance, measure, padding_share, perceptual_hash, pixel_hash


@given(st.integers(0, 255), st.integers(0, 65535))
def test_stored_values_come_back_from_sixteen_bits(eight: int, sixteen: int) -> None:
    as_read = np.array([np.float32(eight) / np.float32(255), np.float32(sixteen) / np.float32(65535)], np.float32)
    assert sixteen_bits(as_read).tolist() == [257 * eight, sixteen]


def test_pixel_hash_is_of_shape_and_pixels(marker: np.ndarray) -> None:
    grey = marker.astype(np.uint16) * 257
    expected = hashlib.sha256(b"(40, 60)" + grey.tobytes()).hexdigest()
    assert pixel_hash(grey) == expected
    assert pixel_hash(grey.reshape(60, 40)) != expected
    assert pixel_hash(grey + (np.arange(2400) == 7).astype(np.uint16).reshape(40, 60)) != expected


def test_near_pictures_have_near_hashes(marker: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    grey = (marker / 255).astype(np.float32)
    near = np.clip(grey * 0.9 + 0.05 + rng.normal(0, 0.01, grey.shape), 0, 1).astype(np.float32)

    def distance(one: np.ndarray, other: np.ndarray) -> int:
        return (int(perceptual_hash(one), 16) ^ int(perceptual_hash(other), 16)).bit_count()

    assert len(perceptual_hash(grey)) == 16
    assert distance(grey, near) <= 6
    assert distance(grey, np.ascontiguousarray(grey[:, ::-1])) >= 16
    assert distance(grey, rng.random(grey.shape, dtype=np.float32)) >= 16


def test_edges() -> None:
    picture = np.zeros((64, 96), np.uint16)
    picture[8:56, 16:80] = np.random.default_rng(0).integers(0, 65536, (48, 64))
    assert padding_share(picture) == pytest.approx(1 - 48 * 64 / (64 * 96))
    assert border(picture) == 0
    assert padding_share(np.full((9, 9), 65535, np.uint16)) == 1
    framed = np.zeros((64, 64), np.uint16)
    framed[:2] = framed[-2:] = framed[:, :2] = framed[:, -2:] = 13107
    assert border(framed) == pytest.approx(0.2)
    assert border(np.full((1, 5), 13107, np.uint16)) == pytest.approx(0.2)
    assert luminance(np.dstack([framed] * 3)) == pytest.approx(framed)


@pytest.mark.parametrize("shape", [(41, 57), (50, 30, 3)])
def test_measurements_by_their_definition(shape: tuple[int, ...]) -> None:
    """Against numpy on floating-point pixels."""
    pixels = np.random.default_rng(0).integers(0, 65536, shape).astype(np.uint16)
    pixels[:9], pixels[9:12] = 0, 65535
    receipt = Receipt("PNG", "ab", 7, 0, "as stored", "range of 16 bits", 16, "L")
    measured = measure(pixels, asdict(receipt))
    grey = pixels / 65535 if len(shape) == 2 else (pixels / 65535) @ [0.299, 0.587, 0.114]
    ring = np.ones(grey.shape, bool)
    ring[1:-1, 1:-1] = False
    expected = {
        "brightness": grey.mean(), "contrast": grey.std(), "black_share": np.mean(grey <= 0.5 / 255), "border": grey[ring].mean(),
        "saturated_share": np.mean(grey >= 1 - 0.5 / 255), "sharpness": np.abs(np.diff(grey, axis=1)).mean(),
    }  # fmt: skip
    for name, value in expected.items():
        assert measured[name] == pytest.approx(value, abs=2e-5), name
    assert histogram(pixels).tolist() == np.bincount(pixels.ravel(), minlength=65536).tolist()


def test_ink_in_a_corner_is_a_mark_of_that_corner_and_the_shade_of_a_lens_is_none() -> None:
    y, x = np.mgrid[:150, :200]
    shade = 1 - 0.8 * np.clip(np.hypot(x - 99.5, y - 74.5) / 100 - 0.9, 0, 1)
    skin = (shade[..., None] * np.array([0.85, 0.62, 0.52]) * 65535).astype(np.uint16)
    inked = skin.copy()
    inked[16:26, 176:190] = np.array([0.36, 0.20, 0.60]) * 65535
    receipt = asdict(Receipt("PNG", "ab", 7, 0, "as stored", "range of 16 bits", 16, "RGB"))
    assert all(measure(skin, receipt)[name] == 0 for name in measurements.CORNER_MARKS)
    marks = [measure(inked, receipt)[name] for name in measurements.CORNER_MARKS]
    assert marks == pytest.approx([0, 140 / 900, 0, 0], abs=0.02)


def test_the_table_comes_back_from_disk(tmp_path: Path) -> None:
    whole = measurements.row({"sha256": "ab", "height": 3, "brightness": 1 / 3, "spacing": "0.1 0.2"})
    broken = measurements.row({"quarantine": "NO_PIXELS", "reason": 'has none, only "text"'})
    table = measurements.table([{**whole, "image": "b.png", "frame": 1}, {**broken, "image": "a,b.png", "frame": 0}])
    measurements.write(table, tmp_path / "m.csv")
    again = measurements.read(tmp_path / "m.csv")
    assert again.iloc[1]["brightness"] == 1 / 3
    assert again.sort_values("image", ascending=False).reset_index(drop=True).equals(table)
    with pytest.raises(Mistakes, match="repeat"):
        measurements.check(measurements.table([{**whole, "image": "b.png", "frame": 1}] * 2), "here")
    with pytest.raises(Mistakes, match="'phash' is missing"):
        measurements.check(table.drop(columns="phash"), "here")
