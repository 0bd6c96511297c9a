"""The DICOM files: valid, synthetic by their headers, and the same upright picture whatever the encoding."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.config import RAISE

import medtl
from medtl.phantom.cases import draw_cases
from medtl.phantom.dicom import encode
from medtl.phantom.hospitals import XRAY_ROOMS, Device
from medtl.phantom.radiograph import radiograph
from medtl.phantom.settings import PhantomSettings

DEVICES = [device for room in XRAY_ROOMS.values() for device in room.devices]
SETTINGS = PhantomSettings(kind="chest", hospital="b", patients=3, size=96)
CASE = draw_cases(SETTINGS)[0]
PICTURE = radiograph(CASE, SETTINGS)
GENERAL = """SOPClassUID SOPInstanceUID StudyInstanceUID SeriesInstanceUID Modality Rows Columns SamplesPerPixel PhotometricInterpretation
    BitsAllocated BitsStored HighBit PixelRepresentation PixelData PatientID PatientSex PatientAge StudyDate BodyPartExamined
    ViewPosition"""
DX = """PresentationIntentType PixelIntensityRelationship PixelIntensityRelationshipSign RescaleIntercept RescaleSlope RescaleType
    PresentationLUTShape LossyImageCompression BurnedInAnnotation ImagerPixelSpacing ImageLaterality PatientOrientation ImageType
    WindowCenter WindowWidth"""
"""Type 1 for presentation (PS3.3 A.26)."""


@pytest.mark.parametrize("device", DEVICES, ids=lambda device: device.name)
def test_all_encodings_read_as_the_same_upright_picture(device: Device, tmp_path: Path) -> None:
    file = tmp_path / "a.dcm"
    file.write_bytes(encode(CASE, PICTURE, "b", device))
    read = medtl.read_image(file)
    levels = 0.7 * (2**device.bits - 1) if device.windowed else 2**device.bits - 1
    assert np.abs(read.pixels[0] - np.clip(PICTURE.shown, 0, 1)).max() <= 0.51 / levels
    assert read.receipt.inverted == (device.photometric == "MONOCHROME1")
    assert read.receipt.bits == device.bits
    assert read.receipt.facts.view == CASE.view


@pytest.mark.parametrize("device", DEVICES, ids=lambda device: device.name)
def test_headers_are_complete_and_valid(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pydicom.config.settings, "reading_validation_mode", RAISE)
    dataset = pydicom.dcmread(io.BytesIO(encode(CASE, PICTURE, "b", device)))
    for element in dataset.iterall():
        assert element.value is not None or element.is_empty  # touches, and so validates, every value
    missing = [name for name in f"{GENERAL} {DX if device.modality == 'DX' else ''}".split() if dataset.get(name) in (None, "")]
    assert missing == []
    assert dataset.file_meta.TransferSyntaxUID == device.syntax
    assert dataset.file_meta.MediaStorageSOPClassUID == dataset.SOPClassUID == device.sop_class
    assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
    assert dataset.pixel_array.max() < 2**device.bits
    assert dataset.HighBit == device.bits - 1


def test_headers_say_synthetic_and_hold_no_person() -> None:
    dataset = pydicom.dcmread(io.BytesIO(encode(CASE, PICTURE, "b")))
    for keyword in ("ImageComments", "SeriesDescription", "StudyDescription", "InstitutionName", "PatientName"):
        assert "synthetic" in str(dataset[keyword].value).lower(), keyword
    assert dataset.PatientBirthDate == ""


def test_devices_span_what_hospitals_send() -> None:
    assert {device.modality for device in DEVICES} == {"CR", "DX"}
    assert {device.photometric for device in DEVICES} == {"MONOCHROME1", "MONOCHROME2"}
    assert {min(d.bits for d in DEVICES), max(d.bits for d in DEVICES)} == {10, 16}
    assert {device.windowed for device in DEVICES} == {True, False}
    assert {device.syntax.is_encapsulated for device in DEVICES} == {True, False}
    assert len({device.syntax for device in DEVICES}) == 5


def test_every_image_has_its_own_uids() -> None:
    made = draw_cases(SETTINGS)
    headers = [pydicom.dcmread(io.BytesIO(encode(case, PICTURE, "b")), stop_before_pixels=True) for case in made]
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
        assert len({header[keyword].value for header in headers}) == len(made)
