"""Markers, text, saturation and blank areas are measured where they are; how bytes were compressed is told in words."""

from __future__ import annotations

import io
from dataclasses import asdict
from typing import Any

import cv2
import numpy as np
import PIL.Image
import pytest

from medtl import measurements
from medtl.imaging.encodings import encoding_of
from medtl.imaging.image import Facts, Receipt, sixteen_bits
from medtl.imaging.measuring import measure
from medtl.measurements import CORNER_MARKS, CORNERS

RECEIPT = asdict(Receipt("PNG", "ab", 7, 0, "as stored", "range of 8 bits", 8, "L", facts=Facts(device="ACME X1"), encoding="PNG"))


def body(height: int = 900, width: int = 700, seed: int = 0) -> np.ndarray:
    """Smooth shadows with a little noise, as anatomy has: nothing that is written."""
    rng = np.random.default_rng(seed)
    shadows = cv2.resize(rng.random((6, 6), np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    shadows = 0.15 + 0.6 * (shadows - shadows.min()) / np.ptp(shadows)
    return np.asarray(np.clip(shadows + 0.01 * rng.standard_normal(shadows.shape, np.float32), 0, 1), np.float32)


def written(picture: np.ndarray, text: str, across: float, down: float, letter: float = 0.02) -> np.ndarray:
    canvas = np.zeros(picture.shape, np.uint8)
    scale = letter * picture.shape[0] / 22
    place = int(across * picture.shape[1]), int(down * picture.shape[0])
    cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, max(1, round(2 * scale)), cv2.LINE_AA)
    return np.asarray(np.maximum(picture, canvas.astype(np.float32) / 255))


def measured(picture: np.ndarray) -> dict[str, Any]:
    return measure(sixteen_bits(picture), RECEIPT)


@pytest.mark.parametrize(("corner", "across", "down"), [(0, 0.05, 0.1), (1, 0.88, 0.1), (2, 0.05, 0.95), (3, 0.88, 0.95)])
def test_a_marker_shows_in_its_corner_alone(corner: int, across: float, down: float) -> None:
    before, after = measured(body()), measured(written(body(), "L", across, down, letter=0.05))
    gained = [after[name] - before[name] for name in CORNER_MARKS]
    assert gained[corner] > 0.01
    assert max(gained[:corner] + gained[corner + 1 :]) == 0
    brighter = [after[name] - before[name] for name in CORNERS]
    assert np.argmax(brighter) == corner
    assert after["letters"] == 0, "one letter is a side marker, no text"


@pytest.mark.parametrize("size", [(300, 256), (900, 700), (2500, 2048)])
def test_text_is_counted_and_anatomy_is_not(size: tuple[int, int]) -> None:
    for seed in range(3):
        assert measured(body(*size, seed=seed))["letters"] == 0
    assert 6 <= measured(written(body(*size), "SUPINE 1205", 0.3, 0.8, letter=0.04))["letters"] <= 12


def test_shares_against_their_definition() -> None:
    picture = body(256, 256)
    picture[:64] = 0
    picture[-32:, :128] = 1
    found = measured(picture)
    eight = np.round(picture * 255)
    assert found["black_share"] == pytest.approx((eight == 0).mean())
    assert found["saturated_share"] == pytest.approx((eight == 255).mean())
    assert found["blank_share"] == pytest.approx(0.25 + 0.125 / 2, abs=0.05)
    assert found["sharpness"] == pytest.approx(np.abs(np.diff(picture.astype(np.float64), axis=1)).mean(), abs=1e-5)
    assert measured(cv2.GaussianBlur(picture, (0, 0), 3))["sharpness"] < found["sharpness"] / 2
    assert (found["device"], found["encoding"]) == ("ACME X1", "PNG")


def test_tables_of_an_earlier_version_are_read(tmp_path: Any) -> None:
    table = measurements.table([{**measured(body(64, 64)), "image": "a.png", "frame": 0}])
    later = [
        *CORNERS,
        *CORNER_MARKS,
        "saturated_share",
        "black_share",
        "blank_share",
        "sharpness",
        "letters",
        "device",
        "encoding",
        "spacing_from",
    ]
    table.drop(columns=later).to_csv(tmp_path / "old.csv", index=False)
    again = measurements.read(tmp_path / "old.csv")
    assert again[["letters", "device"]].iloc[0].isna().tolist() == [True, False]
    assert again["device"].iloc[0] == ""
    assert again["brightness"].iloc[0] == table["brightness"].iloc[0]


def _saved(mode: str, kind: str, **options: Any) -> str:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    file = io.BytesIO()
    PIL.Image.fromarray(noise if mode == "RGB" else noise[..., 0]).save(file, kind, **options)
    return encoding_of(PIL.Image.open(file))


@pytest.mark.parametrize("quality", [25, 50, 75, 90, 95])
def test_jpeg_quality_comes_back(quality: int) -> None:
    assert _saved("L", "JPEG", quality=quality) == f"JPEG quality {quality}"
    assert _saved("RGB", "JPEG", quality=quality, subsampling=0) == f"JPEG 4:4:4 quality {quality}"
    assert _saved("RGB", "JPEG", quality=quality, progressive=True) == f"JPEG progressive 4:2:0 quality {quality}"


def test_other_formats_are_named() -> None:
    assert _saved("L", "TIFF", compression="tiff_lzw") == "TIFF tiff_lzw"
    assert _saved("L", "PNG") == "PNG"
    assert _saved("L", "JPEG", qtables=[[255] * 64]) == "JPEG"
