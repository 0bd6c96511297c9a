"""Decoding a fraction of a radiograph: the same place, the same greys within the stated tolerance, and only where that holds."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom import uid
from pydicom.encaps import encapsulate

from medtl.errors import ImageError
from medtl.imaging import dicom
from medtl.imaging.image import Encoded, Image
from medtl.imaging.reader import read_image

Write = Callable[..., Path]
SYNTAXES = {
    "jpeg-2000": (uid.JPEG2000Lossless, lambda a: imagecodecs.jpeg2k_encode(a, codecformat="j2k", reversible=True, level=0, resolutions=6)),
    "jpeg-2000-lossy": (uid.JPEG2000, lambda a: imagecodecs.jpeg2k_encode(a, codecformat="j2k", reversible=False, level=80, resolutions=6)),
    "htj2k": (uid.HTJ2KLossless, lambda a: imagecodecs.htj2k_encode(a, resolutions=5)),
    "jpeg": (uid.JPEGBaseline8Bit, lambda a: imagecodecs.jpeg8_encode(a, level=95)),
}


def chest(height: int, width: int, bits: int) -> np.ndarray:
    """Smooth lungs, a sharp-edged mark and a little noise."""
    rows, columns = np.mgrid[0:height, 0:width] / max(height, width)
    lungs = 0.75 - 0.5 * sum(np.exp(-(((columns - at) / 0.12) ** 2) - ((rows - 0.5) / 0.25) ** 2) for at in (0.3, 0.7))
    lungs[height // 10 : height // 5, width // 10 : width // 8] = 1
    noisy = lungs + np.random.default_rng(3).normal(0, 0.005, lungs.shape)
    return np.rint(np.clip(noisy, 0, 1) * (2**bits - 1)).astype("u1" if bits <= 8 else "u2")


@pytest.fixture
def compressed(dicom: Write) -> Write:
    def write(stored: np.ndarray, name: str, **elements: object) -> Path:
        syntax, encode = SYNTAXES[name]
        path = dicom(stored.view(f"u{stored.itemsize}") if name == "jpeg" else stored, **elements)
        dataset = pydicom.dcmread(path)
        dataset.PixelData = encapsulate([bytes(encode(stored))])
        dataset["PixelData"].VR, dataset.file_meta.TransferSyntaxUID = "OB", syntax
        dataset.save_as(path, enforce_file_format=True)
        return path

    return write


def read(path: Path, at_least: int | None) -> Image:
    return dicom.read(Encoded(path.name, path.read_bytes(), "", None, 10**8, at_least=at_least))


def difference(one: Image, other: Image, side: int = 64) -> np.ndarray:
    """Both reduced to a square by area."""
    small = [cv2.resize(image.pixels[0], (side, side), interpolation=cv2.INTER_AREA) for image in (one, other)]
    return np.asarray(np.abs(small[0] - small[1]))


@pytest.mark.parametrize("name", SYNTAXES)
def test_a_shrunk_picture_lies_where_the_whole_one_does(compressed: Write, name: str) -> None:
    bits = 8 if name == "jpeg" else 12
    for height, width in ((512, 512), (517, 401), (530, 563)):
        window = {"WindowCenter": 2 ** (bits - 1), "WindowWidth": 2**bits, "BitsStored": bits, "HighBit": bits - 1}
        path = compressed(chest(height, width, bits), name, PhotometricInterpretation="MONOCHROME1", **window)
        whole, shrunk = read(path, None), read(path, 128)
        halvings = 2 if min(height, width) >= 512 else 1
        assert shrunk.size == (-(-height >> halvings), -(-width >> halvings))
        assert (whole.receipt.full_size, shrunk.receipt.full_size) == (None, (height, width))
        off = difference(whole, shrunk)
        assert off.mean() < 0.002
        assert off.max() < 0.08
        moved = Image(np.roll(shrunk.pixels, 1, axis=2), shrunk.receipt)
        assert off.mean() < difference(whole, moved).mean() / 3


@pytest.mark.parametrize("name", ["jpeg-2000", "htj2k"])
def test_signed_pictures_shrink_too(compressed: Write, name: str) -> None:
    stored = chest(256, 256, 12).astype("i2") - 2048
    path = compressed(stored, name, PixelRepresentation=1, BitsStored=12, HighBit=11, WindowCenter=0, WindowWidth=4096)
    assert difference(read(path, None), read(path, 64)).max() < 0.08


def test_nothing_is_left_out_where_it_would_show(compressed: Write) -> None:
    stored = chest(512, 512, 12)
    stored[3, 3] = 4095
    plain = {"BitsStored": 12, "HighBit": 11}
    narrow = {"WindowCenter": 2048, "WindowWidth": 300}
    wide = {"WindowCenter": 2048, "WindowWidth": 4096}
    assert read(compressed(stored, "jpeg-2000", **plain), 64).size == (512, 512)  # minimum and maximum decide
    assert read(compressed(stored, "jpeg-2000", **plain, **narrow), 64).size == (512, 512)
    assert read(compressed(stored, "jpeg-2000", **plain, **wide, RescaleSlope=8, RescaleIntercept=0), 64).size == (512, 512)
    assert read(compressed(stored, "jpeg-2000", **plain, **wide), 64).size == (64, 64)
    assert read(compressed(stored, "jpeg-2000", **plain, **wide), 300).size == (512, 512)


def test_real_radiographs_shrink_within_the_stated_tolerance(shared: Callable[[str], Path]) -> None:
    for name, most in (("chest_xray/RG1_J2KI.dcm", 0.001), ("radiograph_other/RG3_J2KI", 0.001)):
        path = shared("data/dicom") / name
        whole, shrunk = read(path, None), read(path, 440)
        off = difference(whole, shrunk, 224)
        assert max(shrunk.size) < 500
        assert off.mean() < most
        assert off.max() < 0.07


def test_decoders_say_nothing_of_their_own(marker: np.ndarray, compressed: Write, caplog: pytest.LogCaptureFixture) -> None:
    """pydicom logs what goes wrong with tracebacks and header values."""
    path = compressed(np.stack([marker] * 3, axis=-1).copy(), "jpeg", PhotometricInterpretation="YBR_FULL_422")
    path.write_bytes(path.read_bytes().replace(b"\xff\xd9", b"\0\0"))
    with caplog.at_level(logging.DEBUG), pytest.raises(ImageError, match="DECODE_FAILED"):
        read_image(path)
    assert not [record for record in caplog.records if record.name.startswith("pydicom")]
