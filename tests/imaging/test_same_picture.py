"""One picture in every container: the same tensor, upright, and the same network input."""

from __future__ import annotations

import gzip
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import PIL.Image
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from medtl.errors import ImageError
from medtl.imaging.decoding import decode_many
from medtl.imaging.preprocessing import preprocess
from medtl.imaging.reader import read_image
from medtl.imaging.settings import ImageSettings, Volume

HERE = Path(__file__).parent / "pictures"
"""Two HEIC files made once by libheif without loss (quality -1; the colours at 4:4:4 with an identity matrix): the marker, stored turned by
90° with the container's own rotation and an EXIF orientation that repeats it, and `coloured(marker)`."""

LEFT_BACK = np.diag([-1.0, -1.0, 1.0, 1.0])
"""First axis to the patient's left, second to the back: columns and rows of an axial picture."""


def coloured(marker: np.ndarray) -> np.ndarray:
    return np.stack([marker, 255 - marker, marker // 2], axis=-1)


class Folder:
    """Writes one array in many ways; each call is a file."""

    def __init__(self, place: Path):
        self.place = place
        self.count = 0

    def path(self, suffix: str = "") -> Path:
        self.count += 1
        return self.place / f"{self.count}{suffix}"

    def pillow(self, picture: np.ndarray, kind: str, mode: str = "", **options: Any) -> Path:
        made = PIL.Image.fromarray(picture)
        (made.convert(mode) if mode else made).save(path := self.path(), format=kind, **options)
        return path

    def tiff(self, picture: np.ndarray, **options: Any) -> Path:
        tifffile.imwrite(path := self.path(), picture, **options)
        return path

    def bytes(self, data: bytes) -> Path:
        (path := self.path()).write_bytes(data)
        return path

    def npz(self, picture: np.ndarray) -> Path:
        np.savez(path := self.path(".npz"), only=picture[None])
        return path / "only"

    def nifti(self, picture: np.ndarray, high: float = 0) -> Path:
        image = nibabel.Nifti1Image(np.ascontiguousarray(picture.swapaxes(0, 1)), LEFT_BACK)
        image.header["cal_max"] = high
        nibabel.save(image, path := self.path(".nii"))
        return path


Write = Callable[..., Path]
Make = Callable[..., bytes]


def grey_files(marker: np.ndarray, to: Folder, dicom: Write, png: Make) -> Iterator[Path]:
    for mode in ("L", "LA", "P", "RGB", "RGBA"):
        yield to.pillow(marker, "PNG", mode)
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"):
        yield to.pillow(marker, "TIFF", compression=compression)
    yield to.pillow(marker, "TIFF", "P")
    yield to.pillow(marker, "BMP")
    yield to.pillow(marker, "BMP", "RGB")
    yield to.pillow(marker, "WEBP", lossless=True)
    yield to.pillow(marker, "GIF")
    yield to.pillow(marker, "PPM")
    yield to.pillow(marker, "JPEG2000", irreversible=False)
    yield to.tiff(255 - marker, photometric="miniswhite")
    yield to.tiff(marker, tile=(16, 16), byteorder=">")
    yield to.tiff(marker, bigtiff=True)
    yield to.tiff(marker.astype(np.uint16) * 257, photometric="minisblack")
    yield to.bytes(png(np.dstack([marker, np.full_like(marker, 255)]).astype(np.uint16) * 257, 4))
    yield HERE / "marker_rotated.heic"
    yield to.npz(marker)
    yield to.nifti(marker)
    yield to.nifti(marker.astype(np.int16), high=255)
    yield to.nifti(marker.astype(np.float32)[:, :, None], high=255)
    yield dicom(marker, "linear.dcm", WindowCenter=128, WindowWidth=256)
    yield dicom(marker, "exact.dcm", WindowCenter=127.5, WindowWidth=255, VOILUTFunction="LINEAR_EXACT")
    yield dicom(255 - marker, "inverse.dcm", WindowCenter=128, WindowWidth=256, PhotometricInterpretation="MONOCHROME1")
    yield dicom(np.repeat(marker[:, :, None], 3, axis=2), "rgb.dcm")


def colour_files(colour: np.ndarray, to: Folder, dicom: Write, png: Make) -> Iterator[Path]:
    deep = colour.astype(np.uint16) * 257
    for mode in ("RGB", "RGBA"):
        yield to.pillow(colour, "PNG", mode)
    yield to.pillow(colour, "TIFF", "CMYK")
    yield to.pillow(colour, "TIFF", compression="tiff_lzw")
    yield to.pillow(colour, "BMP")
    yield to.pillow(colour, "PPM")
    yield to.pillow(colour, "WEBP", lossless=True, exact=True)
    yield to.tiff(np.moveaxis(colour, -1, 0), photometric="rgb", planarconfig="separate")
    yield to.tiff(deep, photometric="rgb")
    yield to.tiff(deep, photometric="rgb", compression="zlib", predictor=True, byteorder=">")
    yield to.bytes(png(deep, 2))
    yield to.bytes(png(np.dstack([deep, np.full_like(deep[..., 0], 65535)]), 6))
    yield HERE / "marker_colour.heic"
    yield to.npz(colour)
    yield to.nifti(colour.view([("R", "u1"), ("G", "u1"), ("B", "u1")])[..., 0])
    yield to.nifti(colour[:, :, None, None, :])
    yield dicom(colour, "colour.dcm")


def deep_files(deep: np.ndarray, to: Folder, dicom: Write, png: Make) -> Iterator[Path]:
    yield to.pillow(deep, "PNG")
    yield to.pillow(deep, "JPEG2000", irreversible=False)
    yield to.tiff(deep)
    yield to.tiff(deep, byteorder=">", compression="zlib")
    yield to.tiff(65535 - deep, photometric="miniswhite")
    yield to.tiff(np.repeat(deep[..., None], 3, axis=2), photometric="rgb")
    yield to.bytes(b"P5 60 40 65535\n" + deep.astype(">u2").tobytes())
    yield to.npz(deep)
    yield to.nifti(deep, high=65535)
    yield dicom(deep, "deep.dcm", WindowCenter=32768, WindowWidth=65536)


def check(paths: Iterator[Path], expected: np.ndarray, input_settings: ImageSettings) -> int:
    inputs = []
    for path in paths:
        read = read_image(path)
        assert read.pixels.shape == expected.shape, read.receipt
        np.testing.assert_allclose(read.pixels, expected, atol=1e-6, err_msg=str(read.receipt))
        inputs.append(preprocess(path, 0, input_settings)[0])
    assert all(np.array_equal(inputs[0], other) for other in inputs)
    return len(inputs)


def test_grey(marker: np.ndarray, tmp_path: Path, dicom: Write, png: Make) -> None:
    assert check(grey_files(marker, Folder(tmp_path), dicom, png), (marker / 255)[None], ImageSettings(size=32)) == 30


def test_colour(marker: np.ndarray, tmp_path: Path, dicom: Write, png: Make) -> None:
    colour = coloured(marker)
    assert check(colour_files(colour, Folder(tmp_path), dicom, png), colour.transpose(2, 0, 1) / 255, ImageSettings(size=32)) == 17


def test_sixteen_bits(marker: np.ndarray, tmp_path: Path, dicom: Write, png: Make) -> None:
    deep = (marker.astype(np.uint16) << 8) + np.arange(60, dtype=np.uint16)
    stretched = ImageSettings(size=32, intensity="percentile", fit="squeeze")
    assert check(deep_files(deep, Folder(tmp_path), dicom, png), (deep / 65535)[None], stretched) == 10


def test_lossy_pictures_are_upright_too(marker: np.ndarray, tmp_path: Path) -> None:
    to = Folder(tmp_path)
    for kind in ("JPEG", "WEBP"):
        pixels = read_image(to.pillow(marker, kind, quality=95)).pixels
        assert np.abs(pixels - marker / 255).mean() < 0.02
        assert pixels[0, 4:24, 5:9].min() > 0.8  # the stem of the L


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(2, 20), st.integers(2, 20)), code=st.integers(1, 8), seed=st.integers(0, 99),
    kind=st.sampled_from(["grey", "grey 16", "colour", "colour 16", "tiff", "tiff 16"]),
)  # fmt: skip
def test_any_picture_in_any_position(
    shape: tuple[int, int],
    code: int,
    seed: int,
    kind: str,
    png: Make,
    held: Callable[..., np.ndarray],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    largest = 65535 if kind.endswith("16") else 255
    whole = shape if kind.startswith("grey") else (*shape, 3)
    picture = np.random.default_rng(seed).integers(0, largest, whole, endpoint=True, dtype=np.uint16 if largest > 255 else np.uint8)
    stored = held(picture, code)
    to = Folder(tmp_path_factory.mktemp("turned"))
    if kind.startswith("tiff"):
        path = to.tiff(stored, photometric="rgb", extratags=[(274, 3, 1, code, True)])
    else:
        exif = PIL.Image.Exif()
        exif[274] = code
        path = to.bytes(png(stored, 0 if stored.ndim == 2 else 2, eXIf=exif.tobytes()[6:]))
    read = read_image(path)
    expected = picture.transpose(2, 0, 1) if picture.ndim == 3 else picture[None]
    np.testing.assert_allclose(read.pixels, np.broadcast_to(expected / largest, read.pixels.shape), atol=1e-6)
    assert read.receipt.orientation == ("as stored" if code == 1 else f"EXIF {code}")


def mutant(data: bytes, chance: random.Random) -> bytes:
    """Cut off, with a hole, or with a few other bytes, mostly near the beginning, where headers are."""
    kind, place = chance.random(), chance.randrange(len(data))
    if kind < 0.15:
        return data[:place]
    if kind < 0.3:
        return data[:place] + data[place + chance.randrange(1, 40) :]
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 5, 20))):
        place = int(chance.expovariate(1 / 150)) if chance.random() < 0.7 else chance.randrange(len(data))
        changed[min(place, len(data) - 1)] = chance.choice((0, 255, 127, 128, chance.randrange(256)))
    return bytes(changed)


@pytest.mark.slow
def test_mutants_are_read_or_refused_with_a_code(marker: np.ndarray, tmp_path: Path, dicom: Write, png: Make) -> None:
    """In this process, so that a crash would be seen. HEIC is left to the worker processes: its library crashes on some."""
    to, colour, deep = Folder(tmp_path), coloured(marker), marker.astype(np.uint16) << 8
    files = [*grey_files(marker, to, dicom, png), *colour_files(colour, to, dicom, png), *deep_files(deep, to, dicom, png)]
    files += [to.pillow(marker, "JPEG"), to.pillow(colour, "JPEG", "CMYK"), to.pillow(colour, "WEBP")]
    seeds = [path.read_bytes() for path in files if path.is_file() and path.suffix not in (".heic", ".dcm")]
    seeds += [gzip.compress(path.read_bytes()) for path in files if path.suffix == ".nii"]
    chance, path, codes = random.Random(0), tmp_path / "mutant", set()
    for _ in range(5000):
        path.write_bytes(mutant(chance.choice(seeds), chance))
        start = time.process_time()
        try:
            pixels = read_image(path, largest_pixels=4_000_000, volume=Volume(show="mean")).pixels
        except ImageError as refusal:
            codes.add(refusal.code)
        else:
            assert np.isfinite(pixels).all()
            assert 0 <= pixels.min() <= pixels.max() <= 1
        assert time.process_time() - start < 5
    assert {"DECODE_FAILED", "NOT_AN_IMAGE", "BAD_HEADER", "TOO_LARGE"} <= codes


@pytest.mark.slow
def test_a_heic_that_crashes_its_library_costs_one_image(tmp_path: Path) -> None:
    chance, items = random.Random(0), []
    for number in range(400):
        source = HERE / ("marker_rotated.heic" if number % 2 else "marker_colour.heic")
        (tmp_path / str(number)).write_bytes(source.read_bytes() if number > 397 else mutant(source.read_bytes(), chance))
        items.append((tmp_path / str(number), 0))
    answers = {position: measurement["quarantine"] for position, _, measurement in decode_many(items, ImageSettings(size=32))}
    assert sorted(answers) == list(range(400))
    assert answers[398] == answers[399] == ""
