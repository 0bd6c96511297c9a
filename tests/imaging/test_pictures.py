"""Pictures come out upright, in the range of their type, alike in every container."""

from __future__ import annotations

import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest
import tifffile

from medtl.errors import ImageError
from medtl.imaging.reader import read_image

PICTURES = Path(__file__).parent / "pictures"


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
def test_exif_orientation_is_undone_once(marker: np.ndarray, held: Callable[..., np.ndarray], tmp_path: Path, code: int, kind: str) -> None:
    exif = PIL.Image.Exif()
    exif[274] = code
    PIL.Image.fromarray(held(marker, code)).save(tmp_path / "x", format=kind, exif=exif, **({"quality": 100} if kind == "JPEG" else {}))
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
    PIL.Image.fromarray(marker).save(tmp_path / "x.png")
    data = bytearray((tmp_path / "x.png").read_bytes())
    data[16:24] = struct.pack(">II", 60000, 60000)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    (tmp_path / "x.png").write_bytes(data)
    assert code_of(tmp_path / "x.png") == "TOO_LARGE"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_of_any_depth_is_laid_over_black(png: Callable[..., bytes], tmp_path: Path, dtype: type, channels: int) -> None:
    largest = np.iinfo(dtype).max
    stored = np.random.default_rng(0).integers(0, largest, (20, 30, channels), endpoint=True, dtype=dtype)
    (tmp_path / "x").write_bytes(png(stored, channels + 2))
    image = read_image(tmp_path / "x")
    shares = stored / largest
    np.testing.assert_allclose(image.pixels, (shares[..., :-1] * shares[..., -1:]).transpose(2, 0, 1), atol=1e-6)
    assert image.receipt.notes == ("transparent parts became black",)
    assert image.receipt.bits == 8 * np.dtype(dtype).itemsize


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("colour_type", [0, 2])
def test_one_value_declared_transparent_becomes_black(png: Callable[..., bytes], tmp_path: Path, dtype: type, colour_type: int) -> None:
    stored = np.random.default_rng(0).integers(1, 200, (20, 30, 3 if colour_type else 1), dtype=dtype)
    stored[5:9, 5:9] = stored[0, 0]
    declared = np.broadcast_to(stored[0, 0], stored.shape[2:]).astype(">u2").tobytes()
    (tmp_path / "x").write_bytes(png(stored, colour_type, tRNS=declared))
    image = read_image(tmp_path / "x")
    expected = np.where((stored == stored[0, 0]).all(axis=2, keepdims=True), 0, stored / np.iinfo(dtype).max)
    np.testing.assert_allclose(image.pixels, expected.transpose(2, 0, 1), atol=1e-6)
    assert image.receipt.notes == ("transparent parts became black",)


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.uint16, np.float32])
def test_where_a_tiff_says_that_zero_is_white(tmp_path: Path, dtype: type) -> None:
    largest = {np.uint8: 255, np.uint16: 65535}.get(dtype, 1)
    shares = np.random.default_rng(0).random((20, 24))
    stored = shares > 0.5 if dtype is np.bool_ else (shares * largest).astype(dtype)
    tifffile.imwrite(tmp_path / "x", stored, photometric="miniswhite")
    image = read_image(tmp_path / "x")
    np.testing.assert_allclose(image.pixels[0], 1 - stored / largest, atol=1e-6)
    assert image.receipt.inverted


def test_twelve_bits_of_a_tiff_have_their_own_range(tmp_path: Path) -> None:
    stored = np.random.default_rng(0).integers(0, 4096, (20, 30), dtype=np.uint16)
    pairs = stored.reshape(-1, 2).astype(np.uint32)
    packed = (pairs[:, 0] << 12 | pairs[:, 1]).astype(">u4").tobytes()
    strip = b"".join(packed[place + 1 : place + 4] for place in range(0, len(packed), 4))
    tags = {
        256: (4, 30),
        257: (4, 20),
        258: (3, 12),
        259: (3, 1),
        262: (3, 1),
        273: (4, 8),
        277: (3, 1),
        278: (4, 20),
        279: (4, len(strip)),
    }
    directory = b"".join(
        struct.pack("<HHI", tag, kind, 1) + struct.pack("<I" if kind == 4 else "<HH", *((value,) if kind == 4 else (value, 0)))
        for tag, (kind, value) in tags.items()
    )
    head = b"II*\0" + struct.pack("<I", 8 + len(strip))
    (tmp_path / "x").write_bytes(head + strip + struct.pack("<H", len(tags)) + directory + b"\0" * 4)
    image = read_image(tmp_path / "x")
    np.testing.assert_allclose(image.pixels[0], stored / 4095, atol=1e-6)
    assert image.receipt.bits == 12


def test_alpha_already_multiplied_is_not_multiplied_again(tmp_path: Path) -> None:
    stored = np.random.default_rng(0).integers(0, 65536, (20, 30, 4), dtype=np.uint16)
    stored[..., :3] = (stored[..., :3] * (stored[..., 3:] / 65535)).astype(np.uint16)
    for extra, expected in (
        ("assocalpha", stored[..., :3]),
        ("unspecified", stored[..., :3]),
        ("unassalpha", stored[..., :3] * (stored[..., 3:] / 65535)),
    ):
        tifffile.imwrite(tmp_path / "x", stored, photometric="rgb", extrasamples=[extra])
        np.testing.assert_allclose(read_image(tmp_path / "x").pixels, (expected / 65535).transpose(2, 0, 1), atol=2e-5, err_msg=extra)


def test_a_page_of_deep_colour(tmp_path: Path) -> None:
    pages = np.random.default_rng(0).integers(0, 65536, (3, 20, 30, 3), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "x", pages, photometric="rgb")
    assert code_of(tmp_path / "x") == "MULTI_FRAME"
    np.testing.assert_allclose(read_image(tmp_path / "x", 2).pixels, pages[2].transpose(2, 0, 1) / 65535, atol=1e-6)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_as_opencv_has_it(tmp_path: Path, kind: str) -> None:
    """Adobe writes JPEGs of four inks inverted; a reader that forgets it shows a negative."""
    rows, columns = np.mgrid[0:64, 0:96]
    colour = np.stack([2 * columns, 3 * rows, 255 - 2 * columns], axis=-1).astype(np.uint8)
    PIL.Image.fromarray(colour).convert("CMYK").save(tmp_path / "x", format=kind, **({"quality": 95} if kind == "JPEG" else {}))
    pixels = read_image(tmp_path / "x").pixels.transpose(1, 2, 0)
    assert np.abs(pixels - colour / 255).max() < 0.05
    if kind == "JPEG":
        independent = cv2.cvtColor(cv2.imread(str(tmp_path / "x")), cv2.COLOR_BGR2RGB)
        assert np.abs(pixels - independent / 255).max() <= 2 / 255


@pytest.mark.parametrize(
    ("options", "stored"),
    [
        ({}, np.zeros((8, 8), np.int16)), ({}, np.zeros((8, 8), np.int8)), ({}, np.zeros((8, 8), np.uint32)),
        ({"photometric": "rgb", "planarconfig": "separate"}, np.zeros((3, 8, 8), np.uint16)),
        ({"photometric": "separated"}, np.zeros((8, 8, 4), np.uint16)),
    ],
)  # fmt: skip
def test_what_has_no_agreed_range_or_layout_is_refused_in_words(tmp_path: Path, options: dict[str, str], stored: np.ndarray) -> None:
    tifffile.imwrite(tmp_path / "x", stored, **options)
    assert code_of(tmp_path / "x") == "UNSUPPORTED"


def test_a_known_beginning_is_named(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "x", np.zeros((8, 8, 2), np.float64), photometric="minisblack", planarconfig="contig")
    with pytest.raises(ImageError, match="begins like a TIFF") as refusal:
        read_image(tmp_path / "x")
    assert refusal.value.code == "DECODE_FAILED"


def test_damaged_exif_costs_no_picture(marker: np.ndarray, tmp_path: Path) -> None:
    for kind in ("PNG", "JPEG", "WEBP"):
        PIL.Image.fromarray(marker).save(tmp_path / kind, format=kind, quality=100, lossless=True, exif=b"Exif\0\0garbage, and more")
        image = read_image(tmp_path / kind)
        np.testing.assert_allclose(image.pixels[0], marker / 255, atol=0.06)
        assert image.receipt.orientation == "as stored"
    assert image.receipt.notes == ("its EXIF data are broken: taken as stored",)


def test_heic_is_turned_once(marker: np.ndarray) -> None:
    """Its container turns it by 90°, and its EXIF says the same again."""
    image = read_image(PICTURES / "marker_rotated.heic")
    np.testing.assert_allclose(image.pixels[0], marker / 255, atol=1e-6)
    assert (image.receipt.format, image.receipt.bits) == ("HEIF", 8)


def test_broken_heic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = (PICTURES / "marker_colour.heic").read_bytes()
    for end in (12, 40, 300, len(data) - 400):
        (tmp_path / "x").write_bytes(data[:end])
        assert code_of(tmp_path / "x") in ("DECODE_FAILED", "NOT_AN_IMAGE")
    (tmp_path / "x").write_bytes(data)
    assert code_of(tmp_path / "x", largest_pixels=2399) == "TOO_LARGE"
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    with pytest.raises(ImageError, match="pi-heif") as refusal:
        read_image(tmp_path / "x")
    assert refusal.value.code == "UNSUPPORTED"


def test_real_pictures_as_opencv_reads_them(shared: Callable[[str], Path]) -> None:
    """Radiographs come out in one channel, bit for bit."""
    for path in sorted(shared("data/cxr_adult_1024").rglob("*.png"))[::4]:
        stored = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        grey = stored if stored.ndim == 2 else stored[..., 0]
        np.testing.assert_allclose(read_image(path).pixels, (grey / 255)[None], atol=1e-6)
