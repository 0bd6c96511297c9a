"""DICOM against pydicom's own functions, and what is refused."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut, apply_windowing

from medtl.errors import ImageError
from medtl.imaging.reader import read_image

Write = Callable[..., Path]


def lut(entries: list[int], first: int, bits: int = 16, signed: bool = False) -> Dataset:
    item = Dataset()
    item.add_new(0x00283002, "SS" if signed else "US", [len(entries), first, bits])
    item.add_new(0x00283006, "US", entries)
    item.ModalityLUTType = "US"
    return item


def twelve_bits(seed: int = 0, low: int = 0, high: int = 4096, dtype: str = "u2") -> np.ndarray:
    return np.random.default_rng(seed).integers(low, high, (30, 20)).astype(dtype)


def test_monochrome1_is_the_inverse_and_its_twin_is_alike(marker: np.ndarray, dicom: Write) -> None:
    plain = read_image(dicom(marker))
    np.testing.assert_allclose(plain.pixels[0], marker / 255, atol=1e-6)
    assert plain.receipt.inverted is False
    twin = read_image(dicom(255 - marker, PhotometricInterpretation="MONOCHROME1"))
    np.testing.assert_allclose(twin.pixels, plain.pixels, atol=1e-6)
    assert twin.receipt.inverted is True


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("shape", [None, "IDENTITY", "INVERSE"])
def test_inverted_exactly_once(marker: np.ndarray, dicom: Write, photometric: str, shape: str | None) -> None:
    elements: dict[str, Any] = {"PhotometricInterpretation": photometric} | ({"PresentationLUTShape": shape} if shape else {})
    pixels = read_image(dicom(marker, **elements)).pixels[0]
    inverse = photometric == "MONOCHROME1" or shape == "INVERSE"
    np.testing.assert_allclose(pixels, 1 - marker / 255 if inverse else marker / 255, atol=1e-6)


@pytest.mark.parametrize("function", [None, "LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(("center", "width"), [(1600, 2800), ([300, 2000], [1, 50]), (-400.5, 1500.25), (2048, 4096)])
@pytest.mark.parametrize("dtype", ["u2", "i2"])
def test_windows_equal_pydicom(dicom: Write, function: str | None, center: Any, width: Any, dtype: str) -> None:
    stored = twelve_bits(low=-2000 if dtype == "i2" else 0, high=2048 if dtype == "i2" else 4096, dtype=dtype)
    elements = {"RescaleSlope": 0.684, "RescaleIntercept": 200, "WindowCenter": center, "WindowWidth": width}
    elements |= {"BitsStored": 12, "HighBit": 11}
    path = dicom(stored, **elements, **({"VOILUTFunction": function} if function else {}))
    dataset = pydicom.dcmread(path)
    with np.errstate(over="ignore"):
        expected = apply_windowing(apply_modality_lut(stored, dataset), dataset)
    full = np.array([-2048, 2047] if dtype == "i2" else [0, 4095]) * 0.684 + 200
    image = read_image(path)
    np.testing.assert_allclose(image.pixels[0], (expected - full[0]) / (full[1] - full[0]), atol=1e-6)
    assert image.receipt.intensity == f"window {function or 'LINEAR'}"


def test_voi_lut_sequence_goes_before_the_window_and_equals_pydicom(dicom: Write) -> None:
    stored = twelve_bits()
    entries = (np.sqrt(np.linspace(0, 1, 4096)) * 1023).astype(int).tolist()
    path = dicom(stored, BitsStored=12, HighBit=11, VOILUTSequence=[lut(entries, 0, 10)], WindowCenter=10, WindowWidth=20)
    image = read_image(path)
    np.testing.assert_allclose(image.pixels[0], apply_voi_lut(stored, pydicom.dcmread(path)) / 1023, atol=1e-6)
    assert image.receipt.intensity == "VOI LUT sequence"


def test_modality_lut_sequence(dicom: Write) -> None:
    stored = twelve_bits()
    entries = (np.linspace(0, 1, 4096) ** 3 * 40000).astype(int).tolist()
    path = dicom(stored, BitsStored=12, HighBit=11, ModalityLUTSequence=[lut(entries, 0)])
    table = apply_modality_lut(stored, pydicom.dcmread(path)).astype(float)
    np.testing.assert_allclose(read_image(path).pixels[0], (table - table.min()) / np.ptp(table), atol=1e-6)
    windowed = dicom(stored, BitsStored=12, HighBit=11, ModalityLUTSequence=[lut(entries, 0)], WindowCenter=9000, WindowWidth=7000)
    expected = apply_windowing(apply_modality_lut(stored, pydicom.dcmread(path)), pydicom.dcmread(windowed)) / 65535
    np.testing.assert_allclose(read_image(windowed).pixels[0], expected, atol=1e-6)


def test_negative_slope_turns_the_polarity(marker: np.ndarray, dicom: Write) -> None:
    np.testing.assert_allclose(read_image(dicom(marker, RescaleSlope=-2, RescaleIntercept=7)).pixels[0], 1 - marker / 255, atol=1e-6)


def test_bits_beyond_those_stored_are_masked_and_signs_extended(dicom: Write) -> None:
    stored = twelve_bits()
    stored.flat[:2] = 0, 4095
    junk = stored | np.uint16(0xA000)
    np.testing.assert_allclose(read_image(dicom(junk, BitsStored=12, HighBit=11)).pixels[0], stored / 4095, atol=1e-6)
    signed = twelve_bits(low=-2048, high=2048, dtype="i2")
    signed.flat[:2] = -2048, 2047
    junk = (signed.view("u2") & np.uint16(0x0FFF)).view("i2")
    np.testing.assert_allclose(read_image(dicom(junk, BitsStored=12, HighBit=11)).pixels[0], (signed + 2048.0) / 4095, atol=1e-6)


def test_padding_is_left_out_of_minimum_and_maximum(dicom: Write) -> None:
    stored = twelve_bits(low=1000, high=3000, dtype="i2")
    stored[:5] = -2000
    image = read_image(dicom(stored, PixelPaddingValue=-2000))
    real = stored[5:].astype(float)
    np.testing.assert_allclose(image.pixels[0, 5:], (real - real.min()) / np.ptp(real), atol=1e-6)
    assert image.pixels[0, :5].max() == 0
    ranged = read_image(dicom(stored, PixelPaddingValue=-2100, PixelPaddingRangeLimit=-1900))
    np.testing.assert_array_equal(ranged.pixels, image.pixels)
    path = dicom(stored)
    called_unsigned = pydicom.dcmread(path)
    called_unsigned.add_new("PixelPaddingValue", "US", 65536 - 2000)
    called_unsigned.save_as(path)
    np.testing.assert_array_equal(read_image(path).pixels, image.pixels)


@pytest.mark.parametrize("window", [{}, {"WindowCenter": 0, "WindowWidth": 4096}])
def test_bits_below_those_stored_are_shifted_out(dicom: Write, window: dict[str, Any]) -> None:
    """Left-justified: 12 bits stored of 16, the high bit 15; below them lies anything."""
    junk = np.random.default_rng(1).integers(0, 16, (30, 20)).astype("u2")
    for signed in (False, True):
        stored = twelve_bits(low=-2048, high=2048, dtype="i2") if signed else twelve_bits()
        plain = read_image(dicom(stored, BitsStored=12, HighBit=11, **window))
        left = ((stored.view("u2") << 4) | junk).view(stored.dtype)
        image = read_image(dicom(left, BitsStored=12, HighBit=15, **window))
        np.testing.assert_array_equal(image.pixels, plain.pixels)
        assert len(np.unique(image.pixels)) > (100 if window else 500)


def test_left_justified_colours_and_words_of_32_bits(dicom: Write) -> None:
    colour = np.random.default_rng(1).integers(0, 4096, (30, 20, 3)).astype("u2")
    image = read_image(dicom(colour << 4, BitsStored=12, HighBit=15))
    np.testing.assert_allclose(image.pixels, colour.transpose(2, 0, 1) / 4095, atol=1e-6)
    grey = np.random.default_rng(1).integers(-(2**19), 2**19, (30, 20)).astype("i4")
    image = read_image(dicom(grey << 12, BitsStored=20, HighBit=31))
    np.testing.assert_allclose(image.pixels[0], (grey - grey.min()) / np.ptp(grey), atol=1e-6)


@pytest.mark.parametrize("high_bit", [None, 3, 10, 16, 99])
def test_an_impossible_high_bit_is_not_believed(dicom: Write, high_bit: int | None) -> None:
    stored = twelve_bits()
    plain = read_image(dicom(stored, BitsStored=12, HighBit=11)).pixels
    np.testing.assert_array_equal(read_image(dicom(stored, BitsStored=12, HighBit=high_bit)).pixels, plain)


@pytest.mark.parametrize("padding", [0, 4095])
@pytest.mark.parametrize("header", [{"PhotometricInterpretation": "MONOCHROME1"}, {"PresentationLUTShape": "INVERSE"}])
@pytest.mark.parametrize("window", [{}, {"WindowCenter": 2000, "WindowWidth": 5000}])
def test_padding_is_black_after_the_inversion(dicom: Write, padding: int, header: dict[str, Any], window: dict[str, Any]) -> None:
    stored = twelve_bits(low=1000, high=3000)
    real = read_image(dicom(stored[5:], BitsStored=12, HighBit=11, **header, **window)).pixels[0]
    stored[:5] = padding
    image = read_image(dicom(stored, BitsStored=12, HighBit=11, PixelPaddingValue=padding, **header, **window))
    assert image.pixels[0, :5].max() == 0
    np.testing.assert_array_equal(image.pixels[0, 5:], real)


def test_an_image_of_nothing_but_padding_is_shown_as_it_is(dicom: Write) -> None:
    header = {"PhotometricInterpretation": "MONOCHROME1", "PixelPaddingValue": 0, "PixelPaddingRangeLimit": 4095}
    stored = twelve_bits()
    image = read_image(dicom(stored, BitsStored=12, HighBit=11, **header))
    np.testing.assert_allclose(image.pixels[0], (stored.max() - stored.astype(float)) / np.ptp(stored), atol=1e-6)


@pytest.mark.parametrize(("center", "width"), [(100, 0), (100, 0.5), (1e6, 10)])
def test_a_senseless_window_is_left_out_and_noted(marker: np.ndarray, dicom: Write, center: float, width: float) -> None:
    image = read_image(dicom(marker, WindowCenter=center, WindowWidth=width))
    np.testing.assert_allclose(image.pixels[0], marker / 255, atol=1e-6)
    assert "left out" in image.receipt.notes[0]


@pytest.mark.parametrize("slope", ["nan", "inf", "0"])
def test_a_senseless_rescale_is_refused(marker: np.ndarray, dicom: Write, slope: str) -> None:
    path = dicom(marker, RescaleSlope=1234567, RescaleIntercept=0)
    data = path.read_bytes()
    assert data.count(b"1234567.0 ") == 1
    path.write_bytes(data.replace(b"1234567.0 ", slope.ljust(10).encode()))
    with pytest.raises(ImageError, match="RescaleSlope") as refusal:
        read_image(path)
    assert refusal.value.code == "BAD_HEADER"


def test_colour_and_palette(marker: np.ndarray, dicom: Write) -> None:
    colour = np.stack([marker, 255 - marker, marker // 2], axis=-1)
    np.testing.assert_allclose(read_image(dicom(colour)).pixels, colour.transpose(2, 0, 1) / 255, atol=1e-6)
    ramps = {}
    for number, name in enumerate(["Red", "Green", "Blue"], start=1):
        ramps[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        ramps[f"{name}PaletteColorLookupTableData"] = (np.roll(np.arange(256), number) * 256).astype("<u2").tobytes()
    image = read_image(dicom(marker, PhotometricInterpretation="PALETTE COLOR", **ramps))
    expected = [np.roll(np.arange(256), number)[marker] / 255 for number in (1, 2, 3)]
    np.testing.assert_allclose(image.pixels, expected, atol=1e-6)


def test_facts_are_kept_and_persons_are_not(marker: np.ndarray, dicom: Write, caplog: pytest.LogCaptureFixture) -> None:
    facts = {"BodyPartExamined": "CHEST", "ViewPosition": "PA", "ImageLaterality": "U", "ImagerPixelSpacing": [0.2, 0.1]}
    receipt = read_image(dicom(marker, **facts)).receipt
    assert (receipt.facts.modality, receipt.facts.body_part, receipt.facts.view, receipt.facts.laterality) == ("DX", "CHEST", "PA", "U")
    assert (receipt.facts.spacing, receipt.facts.spacing_from) == ((0.2, 0.1), "ImagerPixelSpacing")
    assert "secret" not in repr(receipt).lower()
    assert read_image(dicom(marker, PixelSpacing=[0.3, 0.3], **facts)).receipt.facts.spacing_from == "PixelSpacing"
    with pydicom.config.disable_value_validation():
        path = dicom(marker, Modality="Secret, Person", BodyPartExamined="secret")
    caplog.clear()
    assert read_image(path).receipt.facts.modality == ""
    assert not caplog.records


def code_of(path: Path, **options: Any) -> str:
    with pytest.raises(ImageError) as refusal:
        read_image(path, **options)
    assert "secret" not in str(refusal.value).lower()
    return refusal.value.code


def test_refusals(marker: np.ndarray, dicom: Write) -> None:
    assert code_of(dicom(marker, PixelData=None)) == "NO_PIXELS"
    assert code_of(dicom(marker, Rows=None)) == "BAD_HEADER"
    assert code_of(dicom(marker, Rows=0)) == "BAD_HEADER"
    assert code_of(dicom(marker, Rows=60000, Columns=60000)) == "TOO_LARGE"
    assert code_of(dicom(marker, Rows=400)) == "DECODE_FAILED"
    assert code_of(dicom(marker), largest_pixels=2399) == "TOO_LARGE"
    truncated = dicom(marker)
    truncated.write_bytes(truncated.read_bytes()[:-100])
    assert code_of(truncated) == "DECODE_FAILED"
    truncated.write_bytes(truncated.read_bytes()[:200])
    assert code_of(truncated) in ("BAD_HEADER", "NO_PIXELS", "NOT_AN_IMAGE")


def test_frames_are_asked_for(marker: np.ndarray, dicom: Write) -> None:
    frames = np.stack([marker, 255 - marker])
    path = dicom(marker, NumberOfFrames=2, PixelData=frames.tobytes())
    assert code_of(path) == "MULTI_FRAME"
    assert code_of(path, frame=2) == "MULTI_FRAME"
    np.testing.assert_allclose(read_image(path, 0).pixels[0], marker / 255, atol=1e-6)
    np.testing.assert_allclose(read_image(path, 1).pixels[0], 1 - marker / 255, atol=1e-6)
    assert code_of(path, largest_pixels=2400) == "TOO_LARGE"


def test_large_pixel_data_are_read_where_they_lie(dicom: Write) -> None:
    frames = np.random.default_rng(0).integers(0, 65536, (2, 900, 700)).astype(np.uint16)
    path = dicom(
        frames[0], NumberOfFrames=2, PixelData=frames.tobytes(), WindowCenter=32767.5, WindowWidth=65535, VOILUTFunction="LINEAR_EXACT"
    )
    for number, frame in enumerate(frames):
        image = read_image(path, number)
        np.testing.assert_array_equal(image.sixteen_bits, frame)
        assert not image._given.stored.flags.writeable, "a view of the file's bytes"  # type: ignore[union-attr]
    path.write_bytes(path.read_bytes()[:-1])
    assert code_of(path, frame=1) == "DECODE_FAILED"
    colour = np.random.default_rng(0).integers(0, 256, (700, 600, 3)).astype(np.uint8)
    np.testing.assert_array_equal(read_image(dicom(colour)).sixteen_bits, 257 * colour.astype(np.uint16))


def deflated(path: Path, more: bytes = b"") -> Path:
    """The same file in the deflated transfer syntax."""
    data = path.read_bytes()
    start = 144 + struct.unpack("<I", data[140:144])[0]
    meta = data[132:start].replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99")
    meta = meta.replace(b"UI\x14\x00" + b"1.2.840.10008.1.2.1.99", b"UI\x16\x00" + b"1.2.840.10008.1.2.1.99")
    meta = meta[:8] + struct.pack("<I", len(meta) - 12) + meta[12:]
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    path.write_bytes(data[:132] + meta + packer.compress(data[start:] + more) + packer.flush())
    return path


def test_deflated_files_are_read_and_bombs_are_not(marker: np.ndarray, dicom: Write) -> None:
    np.testing.assert_allclose(read_image(deflated(dicom(marker))).pixels[0], marker / 255, atol=1e-6)
    bomb = deflated(dicom(marker), more=bytes(64 << 20))
    assert bomb.stat().st_size < 100_000
    assert code_of(bomb, largest_pixels=100_000) == "TOO_LARGE"


def test_all_real_files_are_read_or_refused_in_words(shared: Callable[[str], Path]) -> None:
    refused = {
        "0_ORIGINAL_no_pixels.dcm": "NO_PIXELS", "966.dcm": "DECODE_FAILED", "MR_truncated.dcm": "DECODE_FAILED",
        "emri_small_RLE.dcm": "MULTI_FRAME", "meta_missing_tsyntax.dcm": "BAD_HEADER", "rtdose.dcm": "NOT_AN_IMAGE",
        "test-SR.dcm": "NO_PIXELS",
    }  # fmt: skip
    seen = {}
    for path in (file for file in shared("data/dicom").rglob("*") if file.is_file()):
        try:
            pixels = read_image(path).pixels
        except ImageError as error:
            seen[path.name] = error.code
        else:
            assert 0 <= pixels.min() < pixels.max() <= 1
    assert seen == refused


def test_a_false_tag_is_obeyed(shared: Callable[[str], Path]) -> None:
    folder = shared("data/dicom/chest_xray")
    right = read_image(folder / "1.2.276.0.7230010.3.1.4.8323329.6904.1517875201.850819.dcm")
    turned = read_image(folder / "Fake_MONOHR1.dcm")
    np.testing.assert_allclose(turned.pixels, 1 - right.pixels, atol=1e-6)
