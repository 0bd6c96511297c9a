"""Rows of NPZ arrays, by position, streamed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medtl.errors import ImageError
from medtl.imaging import arrays
from medtl.imaging.reader import read_image
from medtl.imaging.sources import Location, locate, parse
from medtl.imaging.unpacking import opened


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    held = {
        "grey": rng.integers(0, 256, (9, 5, 7), dtype=np.uint8), "colour": rng.integers(0, 256, (4, 5, 7, 3), dtype=np.uint8),
        "deep": rng.integers(0, 65536, (3, 5, 7), dtype=np.uint16), "floats": rng.random((3, 5, 7)), "labels": np.arange(9),
        "objects": np.array([{"a": 1}] * 3, dtype=object), "counts": rng.integers(0, 9, (3, 5, 7)), "nan": np.full((2, 5, 7), np.nan),
        "percent": 100 * rng.random((2, 5, 7)),
    }  # fmt: skip
    np.savez_compressed(tmp_path / "set.npz", **held)
    return tmp_path / "set.npz"


@pytest.mark.parametrize("order", [range(9), [8, 0, 5, 5, 1, 7]])
def test_rows_in_any_order(archive: Path, order: list[int]) -> None:
    grey = np.load(archive)["grey"]
    for row in order:
        np.testing.assert_array_equal(read_image(archive / "grey", row).pixels[0], (grey[row] / 255).astype(np.float32))


def test_types(archive: Path) -> None:
    held = np.load(archive)
    np.testing.assert_allclose(read_image(archive / "colour", 2).pixels, held["colour"][2].transpose(2, 0, 1) / 255, atol=1e-6)
    np.testing.assert_allclose(read_image(archive / "deep", 1).pixels[0], held["deep"][1] / 65535, atol=1e-6)
    np.testing.assert_allclose(read_image(archive / "floats", 2).pixels[0], held["floats"][2], atol=1e-6)


def test_one_picture_in_colour_is_one_picture(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    np.savez(tmp_path / "one.npz", img=picture, transparent=np.zeros((48, 64, 4), np.uint8))
    for frame in (0, None):
        image = read_image(tmp_path / "one.npz" / "img", frame)
        np.testing.assert_allclose(image.pixels, picture.transpose(2, 0, 1) / 255, atol=1e-6)
    with pytest.raises(ImageError, match="but the array has 1 ") as refusal:
        read_image(tmp_path / "one.npz" / "img", 1)
    assert refusal.value.code == "NOT_FOUND"
    with pytest.raises(ImageError, match=r"has shape \(48, 64, 4\)"):
        read_image(tmp_path / "one.npz" / "transparent", 0)


@pytest.mark.parametrize(
    ("member", "frame", "code"),
    [
        ("labels", 0, "UNSUPPORTED"), ("objects", 0, "UNSUPPORTED"), ("counts", 0, "UNSUPPORTED"), ("percent", 0, "UNSUPPORTED"),
        ("nan", 0, "NOT_FINITE"), ("absent", 0, "NOT_FOUND"), ("grey", 9, "NOT_FOUND"), ("grey", None, "MULTI_FRAME"), ("", 0, "NOT_FOUND"),
    ],
)  # fmt: skip
def test_what_is_refused(archive: Path, member: str, frame: int | None, code: str) -> None:
    with pytest.raises(ImageError) as refusal:
        read_image(archive / member, frame)
    assert refusal.value.code == code


def test_a_changed_file_is_opened_anew(archive: Path) -> None:
    read_image(archive / "grey", 0)
    np.savez(archive, grey=np.full((2, 5, 7), 255, np.uint8))
    assert read_image(archive / "grey", 1).pixels.min() == 1


def test_files_are_closed_when_they_are_refused_changed_or_pushed_out(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(arrays, "opened", lambda file: (seen.append(opened(file)), seen[-1])[1])
    for member in ("absent", "labels"):
        with pytest.raises(ImageError):
            read_image(archive / member, 0)
    for number in range(5):
        copy = archive.with_name(f"{number}.npz")
        copy.write_bytes(archive.read_bytes())
        read_image(copy / "grey", 0)
    np.savez(copy, grey=np.full((2, 5, 7), 255, np.uint8))
    read_image(copy / "grey", 0)
    assert [each.fp is None for each in seen] == [True, True, True, False, False, False, True, False]


def test_a_cut_or_false_archive(archive: Path) -> None:
    archive.write_bytes(archive.read_bytes()[:500])
    with pytest.raises(ImageError) as refusal:
        read_image(archive / "grey", 0)
    assert refusal.value.code == "NOT_AN_IMAGE"


def test_addresses_go_on_inside_files(archive: Path) -> None:
    assert parse(archive / "grey" / "12") == Location(archive, "grey", 12)
    assert parse(archive / "grey") == Location(archive, "grey")
    assert parse(archive) == Location(archive)
    assert parse(Location(archive, "grey", 3).address) == Location(archive, "grey", 3)
    assert parse(archive.parent / "absent.png") == Location(archive.parent / "absent.png")
    assert locate(archive.parent, "set.npz/grey", 0) == Location(archive, "grey", 0)
    assert locate(archive.parent, "x.png", 0) == Location(archive.parent / "x.png")
