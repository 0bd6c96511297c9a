"""The whole grey chain on arbitrary headers, against pydicom's own functions; frames, overlays, byte orders, directories."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
    generate_uid,
)

from medtl.errors import ImageError, MedtlError
from medtl.imaging.dicom import quietly
from medtl.imaging.dicom_directory import images_listed
from medtl.imaging.inputs import gathered
from medtl.imaging.reader import read_image

Write = Callable[..., Path]


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp())
    yield folder
    shutil.rmtree(folder)


@st.composite
def headers(draw: st.DrawFn) -> dict[str, Any]:
    """What a grey image's header may say, in all its combinations."""
    bits = draw(st.integers(8, 16))
    signed = draw(st.booleans())
    header: dict[str, Any] = {
        "BitsAllocated": 8 if bits == 8 and draw(st.booleans()) else 16,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": int(signed),
        "PhotometricInterpretation": draw(st.sampled_from(["MONOCHROME1", "MONOCHROME2"])),
    }
    if shape := draw(st.sampled_from([None, "IDENTITY", "INVERSE"])):
        header["PresentationLUTShape"] = shape
    slope = draw(st.sampled_from([None, 1, 0.684, 2.5]))
    if slope:
        header |= {"RescaleSlope": slope, "RescaleIntercept": draw(st.sampled_from([0, -1024, 200.5]))}
    low = -(2 ** (bits - 1)) if signed else 0
    centre = (low + 2 ** (bits - 1)) * (slope or 1) + header.get("RescaleIntercept", 0)
    width = 2**bits * (slope or 1) * draw(st.sampled_from([0.3, 0.9, 1.5]))
    window = draw(st.sampled_from(["none", "one", "several", "table"]))
    if window == "table":
        header["VOILUTSequence"] = draw(st.sampled_from(["root", "stairs", "falling"]))
    elif window != "none":
        header["WindowCenter"], header["WindowWidth"] = round(centre, 2), round(max(width, 4), 2)
        if window == "several":
            header["WindowCenter"], header["WindowWidth"] = [header["WindowCenter"], 1], [header["WindowWidth"], 2]
        if function := draw(st.sampled_from([None, "LINEAR", "LINEAR_EXACT", "SIGMOID"])):
            header["VOILUTFunction"] = function
    return header


def table(kind: str, first: int, count: int) -> Dataset:
    """A VOI LUT of 12 bits over `count` values from `first` on."""
    line = np.linspace(0, 1, min(count, 4096))
    entries = {"root": np.sqrt(line), "stairs": np.floor(line * 7) / 7, "falling": 1 - line}[kind]
    item = Dataset()
    item.add_new(0x00283002, "SS" if first < 0 else "US", [len(line), first, 12])
    item.add_new(0x00283006, "US", np.rint(entries * 4095).astype(int).tolist())
    return item


def written(place: Path, stored: np.ndarray, header: dict[str, Any], syntax: pydicom.uid.UID) -> Path:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = CTImageStorage, generate_uid(), "DX"
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = *stored.shape, 1
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    dataset.PixelData = stored.astype(stored.dtype.newbyteorder(order)).tobytes()
    for keyword, value in header.items():
        setattr(dataset, keyword, value)
    dataset["PixelData"].VR = "OW"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(place / "any.dcm", enforce_file_format=True)
    return place / "any.dcm"


def reference(path: Path) -> np.ndarray:
    """pydicom's functions one after the other, then [0, 1] and the inversion."""
    dataset = pydicom.dcmread(path)
    rescaled = apply_modality_lut(dataset.pixel_array, dataset)
    if "VOILUTSequence" in dataset:
        shown = apply_voi_lut(np.rint(rescaled).astype(np.int64), dataset) / 4095
    elif "WindowWidth" in dataset:
        bits, signed = dataset.BitsStored, dataset.PixelRepresentation
        ends = np.array([-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] if signed else [0, 2**bits - 1], float)
        ends = apply_modality_lut(ends, dataset)
        shown = (apply_voi_lut(rescaled, dataset) - ends[0]) / (ends[1] - ends[0])
    else:
        shown = (rescaled - rescaled.min()) / np.ptp(rescaled)
    inverse = dataset.PhotometricInterpretation == "MONOCHROME1" or dataset.get("PresentationLUTShape") == "INVERSE"
    return np.asarray(1 - shown if inverse else shown)


@settings(max_examples=60)
@given(
    header=headers(), syntax=st.sampled_from([ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian]), seed=st.integers(0, 99)
)
def test_any_header_equals_pydicom(place: Path, header: dict[str, Any], syntax: pydicom.uid.UID, seed: int) -> None:
    bits, allocated, signed = header["BitsStored"], header["BitsAllocated"], header["PixelRepresentation"]
    low = -(2 ** (bits - 1)) if signed else 0
    values = np.random.default_rng(seed).integers(low, low + 2**bits, (12, 10))
    values.flat[:2] = low, low + 2**bits - 1
    stored = (values & (2**bits - 1)).astype(f"u{allocated // 8}")
    stored |= (np.random.default_rng(seed).integers(0, 2 ** (allocated - bits), values.shape) << bits).astype(stored.dtype)  # overlays, say
    if kind := header.get("VOILUTSequence"):
        slope, intercept = header.get("RescaleSlope", 1), header.get("RescaleIntercept", 0)
        first = max(-32768, round(low * slope + intercept))
        header = header | {"VOILUTSequence": [table(kind, first, 2**bits)]}
    path = written(place, stored, header, syntax)
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(read_image(path).pixels[0], reference(path), atol=1e-6)


def test_real_files_equal_pydicom_to_the_end(shared: Callable[[str], Path]) -> None:
    compared = 0
    for name in ("MR_small", "MR_small_RLE", "MR_small_padded", "693_J2KR", "examples_overlay", "CT_small", "mlut_18", "JPEG2000"):
        path = shared("data/dicom/transfer_syntaxes") / f"{name}.dcm"
        with quietly():  # one has padding behind its pixels, of which pydicom warns
            expected = np.clip(reference(path), 0, 1)
        np.testing.assert_allclose(read_image(path).pixels[0], expected, atol=1e-6, err_msg=name)
        compared += 1
    assert compared == 8


def test_overlays_change_nothing(marker: np.ndarray, dicom: Write) -> None:
    plain = read_image(dicom(marker)).pixels
    over = dicom(marker)
    dataset = pydicom.dcmread(over)
    dataset.add_new(0x60000010, "US", 40)
    dataset.add_new(0x60000011, "US", 60)
    dataset.add_new(0x60000040, "CS", "G")
    dataset.add_new(0x60000050, "SS", [1, 1])
    dataset.add_new(0x60000100, "US", 1)
    dataset.add_new(0x60000102, "US", 0)
    dataset.add_new(0x60003000, "OW", b"\xff" * 300)
    dataset.save_as(over)
    np.testing.assert_array_equal(read_image(over).pixels, plain)


def test_frames_of_enhanced_objects_have_windows_of_their_own(dicom: Write) -> None:
    frames = np.random.default_rng(5).integers(0, 4096, (3, 9, 8)).astype("u2")
    items = []
    for number in range(3):
        window, item = Dataset(), Dataset()
        window.WindowCenter, window.WindowWidth = 1000 * (number + 1), 1500
        item.FrameVOILUTSequence = [window]
        items.append(item)
    shared_item, rescale = Dataset(), Dataset()
    rescale.RescaleSlope, rescale.RescaleIntercept, rescale.RescaleType = 2, -100, "US"
    shared_item.PixelValueTransformationSequence = [rescale]
    path = dicom(frames[0], NumberOfFrames=3, PixelData=frames.tobytes(), BitsStored=12, HighBit=11,
                 PerFrameFunctionalGroupsSequence=items, SharedFunctionalGroupsSequence=[shared_item])  # fmt: skip
    with pytest.raises(ImageError, match="none was chosen"):
        read_image(path)
    for number in range(3):
        expected = np.clip((frames[number] * 2.0 - 100 - (1000 * (number + 1) - 0.5)) / 1499 + 0.5, 0, 1)
        np.testing.assert_allclose(read_image(path, number).pixels[0], expected, atol=1e-6)


def test_palettes_of_more_than_8_bits_and_with_offset(dicom: Write) -> None:
    indices = np.random.default_rng(2).integers(100, 400, (9, 8)).astype("u2")
    ramps: dict[str, Any] = {}
    for number, name in enumerate(["Red", "Green", "Blue"], start=1):
        ramps[f"{name}PaletteColorLookupTableDescriptor"] = [300, 100, 16]
        ramps[f"{name}PaletteColorLookupTableData"] = np.roll(np.arange(300) * 218, number).astype("<u2").tobytes()
    image = read_image(dicom(indices, PhotometricInterpretation="PALETTE COLOR", BitsStored=12, HighBit=11, **ramps))
    expected = [np.roll(np.arange(300) * 218, number)[indices - 100] / 65535 for number in (1, 2, 3)]
    np.testing.assert_allclose(image.pixels, expected, atol=1e-6)


def directory(folder: Path, names: list[list[str]]) -> Path:
    """A DICOMDIR that lists files, one image record each."""
    with pydicom.config.disable_value_validation():
        records = []
        for parts in names:
            record = Dataset()
            record.DirectoryRecordType, record.RecordInUseFlag, record.ReferencedFileID = "IMAGE", 0xFFFF, parts
            records.append(record)
        dataset = Dataset()
        dataset.FileSetID, dataset.DirectoryRecordSequence = "CD", records
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.MediaStorageSOPClassUID, dataset.file_meta.MediaStorageSOPInstanceUID = (
            MediaStorageDirectoryStorage,
            generate_uid(),
        )
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.save_as(folder / "DICOMDIR", enforce_file_format=True)
    return folder / "DICOMDIR"


def test_a_dicomdir_names_its_images(marker: np.ndarray, dicom: Write, tmp_path: Path) -> None:
    (tmp_path / "im").mkdir()
    dicom(marker).rename(tmp_path / "im" / "a1")
    listing = directory(tmp_path, [["IM", "A1"], ["IM", "A2"], ["IM", "A1"]])
    assert images_listed(listing) == [tmp_path / "im" / "a1", tmp_path / "IM" / "A2"]
    with gathered([listing]) as inputs:
        assert [(each.image, each.reason[-11:]) for each in inputs] == [("im/a1", ""), ("IM/A2", "[NOT_FOUND]")]
        np.testing.assert_allclose(read_image(inputs[0].path).pixels[0], marker / 255, atol=1e-6)
    with pytest.raises(ImageError, match="DICOMDIR") as refusal:
        read_image(listing)
    assert refusal.value.code == "NO_PIXELS"


@pytest.mark.parametrize("parts", [["..", "SECRET"], ["/etc", "passwd"], ["A", "..", "..", "B"]])
def test_a_dicomdir_leads_nowhere_else(tmp_path: Path, parts: list[str]) -> None:
    with pytest.raises(MedtlError, match="outside its own folder") as refusal:
        images_listed(directory(tmp_path, [parts]))
    assert "SECRET" not in str(refusal.value)


def test_a_broken_dicomdir_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 300)
    with pytest.raises(MedtlError, match="give the folder instead"):
        images_listed(tmp_path / "DICOMDIR")
