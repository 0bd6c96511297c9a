"""A chest image as a DICOM file: CR or DX, valid header, every value made from the case's name, `synthetic` where a reader looks."""

from __future__ import annotations

import io
import warnings

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ImplicitVRLittleEndian, generate_uid

from medtl.phantom.cases import Case
from medtl.phantom.chance import Floats
from medtl.phantom.hospitals import Device
from medtl.phantom.radiograph import Radiograph

IMPLEMENTATION = generate_uid(entropy_srcs=["medtl phantom"])
_WINDOW = (0.15, 0.85)
"""Where a windowed device stores black and white, as shares of its range; beyond lies what is not shown."""


def encode(case: Case, picture: Radiograph, hospital: str, device: Device | None = None) -> bytes:
    """The whole file; `device` takes the place of the one that took the picture."""
    device = device or picture.device
    stored, window = store(picture.shown, device)
    dataset = _header(case, hospital, device, 10 / picture.per_cm)
    if window is not None:
        dataset.WindowCenter, dataset.WindowWidth, dataset.VOILUTFunction = window[0], window[1], "LINEAR"
    dataset.Rows, dataset.Columns = stored.shape
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's encoders remark on bits above BitsStored, which are empty here
        if device.syntax.is_encapsulated:
            dataset.compress(device.syntax, stored, generate_instance_uid=False)
        else:
            dataset.PixelData = stored.astype("<u2").tobytes()
            dataset["PixelData"].VR = "OW"
    file = io.BytesIO()
    dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue()


def store(shown: Floats, device: Device) -> tuple[NDArray[np.uint16], tuple[float, float] | None]:
    """Stored values (H, W), and centre and width of the window that shows 0 as black and 1 as white (PS3.3 C.11.2.1.2, LINEAR).

    Without a window the least and largest stored values are black and white, so what is not shown is not stored.
    """
    top = 2**device.bits - 1
    black, white = (round(share * top) for share in _WINDOW) if device.windowed else (0, top)
    grey = shown if device.windowed else np.clip(shown, 0, 1)
    stored = np.clip(np.rint(black + grey.astype(np.float64) * (white - black)), 0, top).astype(np.uint16)
    if device.photometric == "MONOCHROME1":
        stored, black, white = (top - stored).astype(np.uint16), top - white, top - black
    return stored, ((black + white) / 2 + 0.5, float(white - black + 1)) if device.windowed else None


def _header(case: Case, hospital: str, device: Device, spacing: float) -> Dataset:
    """All elements but pixels and window."""
    name, number = f"{hospital}/{case.name}", int(case.name[1:].replace("-", "") or 0)
    dataset = Dataset()
    dataset.file_meta = _meta(device, _uid("instance", name))
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.SOPClassUID, dataset.SOPInstanceUID = device.sop_class, dataset.file_meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = _uid("study", name), _uid("series", name)
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = (
        f"2000{1 + number % 12:02d}{1 + number % 28:02d}"
    )
    dataset.StudyTime = dataset.SeriesTime = dataset.AcquisitionTime = dataset.ContentTime = f"{8 + number % 10:02d}{number % 60:02d}00"
    dataset.Modality, dataset.ImageType = device.modality, ["ORIGINAL", "PRIMARY"]
    dataset.Manufacturer, dataset.ManufacturerModelName = "medtl phantom", f"synthetic {device.name}"
    dataset.InstitutionName, dataset.ReferringPhysicianName, dataset.AccessionNumber = f"synthetic-{hospital}", "", ""
    dataset.PatientName, dataset.PatientID, dataset.IssuerOfPatientID = "SYNTHETIC^PHANTOM", case.patient, f"synthetic-{hospital}"
    dataset.PatientBirthDate, dataset.PatientSex, dataset.PatientAge = "", case.sex, f"{case.age:03d}Y"
    dataset.StudyID, dataset.SeriesNumber, dataset.InstanceNumber = "1", 1, 1
    dataset.StudyDescription = dataset.SeriesDescription = "synthetic chest phantom"
    dataset.ImageComments = "synthetic: a computed phantom, no patient"
    dataset.BodyPartExamined, dataset.ViewPosition, dataset.PatientOrientation = "CHEST", case.view, ["L", "F"]
    dataset.BurnedInAnnotation = "YES" if case.view == "AP" and hospital == "b" else "NO"
    dataset.ImagerPixelSpacing = [round(spacing, 5)] * 2
    _describe_pixels(dataset, device)
    return dataset


def _describe_pixels(dataset: Dataset, device: Device) -> None:
    inverse = device.photometric == "MONOCHROME1"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PixelRepresentation = 1, device.photometric, 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, device.bits, device.bits - 1
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = 0, 1, "US"
    dataset.LossyImageCompression = "00"
    if device.modality == "DX":
        dataset.PresentationIntentType = "FOR PRESENTATION"
        dataset.PresentationLUTShape = "INVERSE" if inverse else "IDENTITY"
        dataset.PixelIntensityRelationship, dataset.PixelIntensityRelationshipSign = "LOG", 1 if inverse else -1
        dataset.DetectorType, dataset.ImageLaterality = "SCINTILLATOR", "U"
        dataset.AcquisitionContextSequence, dataset.AnatomicRegionSequence = [], []
    else:
        dataset.Laterality = ""


def _meta(device: Device, instance: UID) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID, meta.TransferSyntaxUID = device.sop_class, instance, device.syntax
    meta.ImplementationClassUID, meta.ImplementationVersionName = IMPLEMENTATION, "MEDTL_PHANTOM"
    return meta


def _uid(kind: str, name: str) -> UID:
    return generate_uid(entropy_srcs=["medtl phantom", kind, name])


def without_pixels(content: bytes) -> bytes:
    """The same file without its pixel data: what a broken transfer leaves."""
    dataset = dcmread(io.BytesIO(content))
    del dataset.PixelData
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    file = io.BytesIO()
    dcmwrite(file, dataset, enforce_file_format=True, implicit_vr=True, little_endian=True)
    return file.getvalue()
