"""Pictures come out upright, in the range of their type, alike in every container."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from medtl.errors import ImageError
from medtl.imaging.reader import read_image

INVERSES = {
    1: lambda p: p, 2: np.fliplr, 3: lambda p: np.rot90(p, 2), 4: np.flipud, 5: np.transpose,
    6: lambda p: np.rot90(p, 1), 7: lambda p: np.rot90(p, 2).T, 8: lambda p: np.rot90(p, -1),
}  # fmt: skip
"""What a camera held in that way stores of an upright picture (EXIF 2.32, tag 274)."""


@pytest.mark.parametrize("name", ["x.png", "x.tif", "x.bmp", "x.webp", "no_suffix_png"])
def test_lossless_pictures_are_exact_and_upright(marker: np.ndarray, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    PIL.Image.fromarray(marker).save(path, format=None if "." in name else "PNG", **({"lossless": True} if "webp" in name else {}))
    image = read_image(path)
    assert image.pixels.dtype == np.float32
    assert image.pixels.flags.c_contiguous
    np.testing.assert_array_equal(image.pixels[0], (marker / 255).astype(np.float32))


def test_jpeg_is_close(marker: np.ndarray, tmp_path: Path) -> None:
    PIL.Image.fromarray(marker).save(tmp_path / "x.jpg", quality=95)
    image = read_image(tmp_path / "x.jpg")
    assert image.pixels.shape == (1, 40, 60)
    assert np.abs(image.pixels[0] - marker / 255).mean() < 0.02


@pytest.mark.parametrize("code", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG"])
def test_exif_orientation_is_undone_once(marker: np.ndarray, tmp_path: Path, code: int, kind: str) -> None:
    exif = PIL.Image.Exif()
    exif[274] = code
    stored = np.ascontiguousarray(INVERSES[code](marker))
    PIL.Image.fromarray(stored).save(tmp_path / "x", format=kind, exif=exif, **({"quality": 100} if kind == "JPEG" else {}))
    image = read_image(tmp_path / "x")
    assert image.pixels.shape == (1, 40, 60)
    np.testing.assert_allclose(image.pixels[0], marker / 255, atol=0.06 if kind == "JPEG" else 1e-6)
    assert image.receipt.orientation == ("as stored" if code == 1 else f"EXIF {code}")


def test_sixteen_bits_keep_their_range(tmp_path: Path) -> None:
    stored = np.linspace(0, 65535, 40 * 60).reshape(40, 60).astype(np.uint16)
    for name in ("x.png", "x.tif"):
        PIL.Image.fromarray(stored).save(tmp_path / name)
        image = read_image(tmp_path / name)
        np.testing.assert_allclose(image.pixels[0], stored / 65535, atol=1e-6)
        assert image.receipt.bits == 16


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F"])
def test_every_mode_gives_one_or_three_channels_in_range(marker: np.ndarray, tmp_path: Path, mode: str) -> None:
    grey = PIL.Image.fromarray(marker)
    if mode == "F":
        picture = PIL.Image.fromarray((marker / 255).astype(np.float32))
    elif mode == "I;16":
        picture = PIL.Image.fromarray(marker.astype(np.uint16) * 257)
    else:
        picture = (grey.convert("RGB") if mode == "CMYK" else grey).convert(mode)
    kind = {"CMYK": "TIFF", "F": "TIFF"}.get(mode, "PNG")
    picture.save(tmp_path / "x", format=kind)
    pixels = read_image(tmp_path / "x").pixels
    assert pixels.shape in ((1, 40, 60), (3, 40, 60))
    assert pixels.min() >= 0
    assert pixels.max() <= 1
    if mode == "1":
        assert set(np.unique(pixels)) == {0, 1}
    else:
        np.testing.assert_allclose(pixels.mean(axis=0), marker / 255, atol=0.02)


def test_transparency_becomes_black_and_is_noted(tmp_path: Path) -> None:
    stored = np.full((20, 20, 4), 255, np.uint8)
    stored[:10, :, 3] = 0
    PIL.Image.fromarray(stored).save(tmp_path / "x.png")
    image = read_image(tmp_path / "x.png")
    assert image.pixels[:, :10].max() == 0
    assert image.pixels[:, 10:].min() == 1
    assert image.receipt.notes == ("transparent parts became black",)


def test_pages_are_asked_for(marker: np.ndarray, tmp_path: Path) -> None:
    first, second = PIL.Image.fromarray(marker), PIL.Image.fromarray(255 - marker)
    first.save(tmp_path / "x.tif", save_all=True, append_images=[second])
    with pytest.raises(ImageError, match="2 images") as refusal:
        read_image(tmp_path / "x.tif")
    assert refusal.value.code == "MULTI_FRAME"
    np.testing.assert_allclose(read_image(tmp_path / "x.tif", frame=1).pixels[0], 1 - marker / 255, atol=1e-6)
    with pytest.raises(ImageError, match="frame 2"):
        read_image(tmp_path / "x.tif", frame=2)


def code_of(path: Path, **options: int) -> str:
    with pytest.raises(ImageError) as refusal:
        read_image(path, **options)
    return refusal.value.code


def test_what_is_no_picture_is_said(marker: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    assert code_of(path) == "NOT_FOUND"
    assert code_of(tmp_path) == "NOT_FOUND"
    path.write_bytes(b"")
    assert code_of(path) == "NOT_AN_IMAGE"
    path.write_text("no picture at all")
    assert code_of(path) == "NOT_AN_IMAGE"
    PIL.Image.fromarray(marker).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert code_of(path) == "DECODE_FAILED"
    PIL.Image.fromarray(marker).save(path)
    assert code_of(path, largest_pixels=2399) == "TOO_LARGE"
    assert read_image(path, largest_pixels=2400).size == (40, 60)


def test_names_do_not_matter(marker: np.ndarray, tmp_path: Path) -> None:
    PIL.Image.fromarray(marker).save(tmp_path / "x.dcm", format="PNG")
    assert read_image(tmp_path / "x.dcm").receipt.format == "PNG"


def test_a_lying_header_is_refused_before_decoding(marker: np.ndarray, tmp_path: Path) -> None:
    import struct
    import zlib

    PIL.Image.fromarray(marker).save(tmp_path / "x.png")
    data = bytearray((tmp_path / "x.png").read_bytes())
    data[16:24] = struct.pack(">II", 60000, 60000)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    (tmp_path / "x.png").write_bytes(data)
    assert code_of(tmp_path / "x.png") == "TOO_LARGE"
