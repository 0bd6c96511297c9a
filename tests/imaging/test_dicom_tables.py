"""Look-up tables of grey values and colours, in every packing that writers use; held against plain arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from medtl.errors import ImageError
from medtl.imaging.reader import read_image

Write = Callable[..., Path]
ENTRIES = np.arange(4096) >> 4
PACKINGS: dict[str, tuple[UID, str, Any]] = {
    "numbers": (ExplicitVRLittleEndian, "US", ENTRIES.tolist()),
    "words": (ExplicitVRLittleEndian, "OW", ENTRIES.astype("<u2").tobytes()),
    "bytes": (ExplicitVRLittleEndian, "OW", ENTRIES.astype("u1").tobytes()),
    "implicit words": (ImplicitVRLittleEndian, "OW", ENTRIES.astype("<u2").tobytes()),
    "implicit bytes": (ImplicitVRLittleEndian, "OW", ENTRIES.astype("u1").tobytes()),
    "big-endian words": (ExplicitVRBigEndian, "OW", ENTRIES.astype(">u2").tobytes()),
    "big-endian bytes": (ExplicitVRBigEndian, "OW", ENTRIES.astype("u1").view("u2").byteswap().tobytes()),
}
"""Transfer syntax, value representation and value of 4096 entries of 8 bits."""
COLOURS = ("Red", "Green", "Blue")


def twelve_bits() -> np.ndarray:
    values = np.random.default_rng(0).integers(0, 4096, (30, 20)).astype("u2")
    values.flat[:2] = 0, 4095
    return values


def table(descriptor: list[int], value: Any, vr: str = "OW", descriptor_vr: str = "US") -> Dataset:
    item = Dataset()
    item.add_new(0x00283002, descriptor_vr, descriptor)
    item.add_new(0x00283006, vr, value)
    return item


def in_syntax(path: Path, syntax: UID) -> Path:
    """The same file in another uncompressed transfer syntax; tables keep their bytes, pixels of 16 bits change their order."""
    dataset = pydicom.dcmread(path)
    dataset.decode()
    if syntax == ExplicitVRBigEndian:
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").byteswap().tobytes()
    dataset.file_meta.TransferSyntaxUID = syntax
    pydicom.dcmwrite(path, dataset, implicit_vr=syntax.is_implicit_VR, little_endian=syntax.is_little_endian)
    return path


def palettes(descriptor: list[int], values: list[bytes], kind: str = "") -> dict[str, Any]:
    made: dict[str, Any] = {f"{name}PaletteColorLookupTableDescriptor": descriptor for name in COLOURS}
    return made | {f"{kind}{name}PaletteColorLookupTableData": value for name, value in zip(COLOURS, values, strict=True)}


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_voi_table_of_8_bits_has_as_many_entries_as_it_says(dicom: Write, packing: str) -> None:
    syntax, vr, value = PACKINGS[packing]
    stored = twelve_bits()
    path = dicom(stored, BitsStored=12, HighBit=11, VOILUTSequence=[table([4096, 0, 8], value, vr)])
    image = read_image(in_syntax(path, syntax))
    np.testing.assert_allclose(image.pixels[0], (stored >> 4) / 255, atol=1e-6)
    assert (image.receipt.intensity, image.receipt.notes) == ("VOI LUT sequence", ())


def test_a_voi_table_of_an_odd_number_of_packed_bytes(dicom: Write) -> None:
    stored = twelve_bits() % 255
    path = dicom(stored, VOILUTSequence=[table([255, 0, 8], np.arange(255)[::-1].astype("u1").tobytes() + b"\0")])
    np.testing.assert_allclose(read_image(path).pixels[0], (254 - stored.astype(int)) / 255, atol=1e-6)


@pytest.mark.parametrize(("first", "vr"), [(-1024, "SS"), (64512, "US")])
@pytest.mark.parametrize("signed", [False, True])
def test_the_first_value_mapped_is_signed_where_the_values_are(dicom: Write, first: int, vr: str, signed: bool) -> None:
    stored = twelve_bits()
    item = table([4096, first, 12], (4095 - np.arange(4096)).astype("<u2").tobytes(), descriptor_vr=vr)
    if signed:
        path = dicom((stored.astype("i2") - 1024), VOILUTSequence=[item])
    else:
        path = dicom(stored, BitsStored=12, HighBit=11, RescaleSlope=1, RescaleIntercept=-1024, VOILUTSequence=[item])
    image = read_image(path)
    np.testing.assert_allclose(image.pixels[0], (4095 - stored.astype(int)) / 4095, atol=1e-6)
    assert image.receipt.notes == ()


def test_the_first_value_mapped_stays_large_where_no_value_is_negative(dicom: Write) -> None:
    values = twelve_bits().astype(int) + 40000
    item = table([4096, 40000, 12], np.arange(4096).astype("<u2").tobytes())
    for stored, rescale in ((values, {}), (values - 32768, {"RescaleSlope": 1, "RescaleIntercept": 32768})):
        path = dicom(stored.astype("i2" if rescale else "u2"), VOILUTSequence=[item], **rescale)
        np.testing.assert_allclose(read_image(path).pixels[0], (values - 40000) / 4095, atol=1e-6)


@pytest.mark.parametrize(
    ("descriptor", "value"),
    [
        ([4096, 0, 12], np.arange(3000).astype("<u2").tobytes()),
        ([4096, 0, 8], np.arange(4096).astype("<u2").tobytes()),
        ([4096, 0, 32], np.arange(4096).astype("<u2").tobytes()),
    ],
)
def test_tables_that_contradict_themselves_are_refused(dicom: Write, descriptor: list[int], value: bytes) -> None:
    path = dicom(twelve_bits(), BitsStored=12, HighBit=11, VOILUTSequence=[table(descriptor, value)])
    with pytest.raises(ImageError, match="look-up tables cannot be applied") as refusal:
        read_image(path)
    assert refusal.value.code == "BAD_HEADER"


@pytest.mark.parametrize(
    ("bits", "scale", "kind"), [(8, 1, "u1"), (8, 1, "u2"), (8, 256, "u2"), (16, 1, "u1"), (16, 1, "u2"), (16, 256, "u2"), (16, 257, "u2")]
)
def test_palettes_of_8_bits_in_bytes_and_words(marker: np.ndarray, dicom: Write, bits: int, scale: int, kind: str) -> None:
    ramps = [np.roll(np.arange(256), number) for number in (1, 2, 3)]
    elements = palettes([256, 0, bits], [(ramp * scale).astype(kind).tobytes() for ramp in ramps])
    image = read_image(dicom(marker, PhotometricInterpretation="PALETTE COLOR", **elements))
    np.testing.assert_allclose(image.pixels, [ramp[marker] / 255 for ramp in ramps], atol=1e-6)


@pytest.mark.parametrize("packing", [name for name in PACKINGS if name != "numbers"])
def test_palettes_of_8_bits_may_have_many_entries(dicom: Write, packing: str) -> None:
    syntax, _, value = PACKINGS[packing]
    stored = twelve_bits()
    elements = palettes([4096, 0, 8], [value, value, bytes(4096)])
    path = dicom(stored, PhotometricInterpretation="PALETTE COLOR", BitsStored=12, HighBit=11, **elements)
    image = read_image(in_syntax(path, syntax))
    np.testing.assert_allclose(image.pixels, [(stored >> 4) / 255, (stored >> 4) / 255, 0 * stored], atol=1e-6)


def test_one_dark_palette_of_16_bits_stays_dark(marker: np.ndarray, dicom: Write) -> None:
    ramps = [np.arange(256) * scale for scale in (257, 1, 0)]
    elements = palettes([256, 0, 16], [ramp.astype("<u2").tobytes() for ramp in ramps])
    image = read_image(dicom(marker, PhotometricInterpretation="PALETTE COLOR", **elements))
    np.testing.assert_allclose(image.pixels, [ramp[marker] / 65535 for ramp in ramps], atol=1e-6)


@pytest.mark.parametrize(("bits", "kind"), [(8, "u1"), (16, "<u2")])
def test_segmented_palettes(marker: np.ndarray, dicom: Write, bits: int, kind: str) -> None:
    """Two entries one by one, then a straight line to white (PS3.3 C.7.9.2)."""
    white = 2**bits - 1
    segments = np.array([0, 2, 0, 0, 1, 254, white], kind).tobytes()
    expected = np.concatenate([[0, 0], np.rint(np.linspace(0, white, 255)[1:])])[marker] / white
    elements = palettes([256, 0, bits], [segments + b"\0" * (len(segments) % 2)] * 3, kind="Segmented")
    image = read_image(dicom(marker, PhotometricInterpretation="PALETTE COLOR", **elements))
    np.testing.assert_allclose(image.pixels[0], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("descriptor", "kind", "more"),
    [
        ([4096, 0, 8], "Segmented", {}),  # pydicom, which unfolds segments, would wrap round
        ([300, 0, 16], "", {}),
        ([256, 0, 32], "", {}),
        ([256, 0, 16], "", {"PixelPresentation": "COLOR"}),
    ],
    ids=["too many segments", "too few entries", "too many bits", "supplemental"],
)
def test_palettes_that_cannot_be_applied_are_refused(
    marker: np.ndarray, dicom: Write, descriptor: list[int], kind: str, more: dict[str, str]
) -> None:
    elements = palettes(descriptor, [np.arange(256).astype("<u2").tobytes()] * 3, kind)
    with pytest.raises(ImageError, match="colour palette cannot be applied") as refusal:
        read_image(dicom(marker, PhotometricInterpretation="PALETTE COLOR", **elements, **more))
    assert refusal.value.code == "BAD_HEADER"
