"""A picture that no turn or flip maps onto itself, and files made of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid


@pytest.fixture(scope="session")
def marker() -> np.ndarray:
    """uint8 (40, 60): a bright L at the upper left over a ramp; holds 0 and 255, so minimum … maximum is the range of its type."""
    rows, columns = np.mgrid[0:40, 0:60]
    picture = (rows + 2 * columns).astype(np.uint8)
    picture[4:24, 5:9] = 255
    picture[20:24, 5:20] = 255
    picture[39, 59] = 0
    picture[0, 0] = 0
    return picture


@pytest.fixture
def dicom(tmp_path: Path) -> Callable[..., Path]:
    """Writes stored values as an uncompressed DICOM file; header elements by keyword, None leaves one out."""

    def write(stored: np.ndarray, name: str = "image.dcm", **elements: Any) -> Path:
        dataset = Dataset()
        dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, generate_uid()
        dataset.PatientName, dataset.PatientID = "Secret^Person", "4711-secret"
        dataset.Modality = "DX"
        samples = 3 if stored.ndim == 3 else 1
        dataset.Rows, dataset.Columns = stored.shape[:2]
        dataset.SamplesPerPixel = samples
        dataset.PhotometricInterpretation = "RGB" if samples == 3 else "MONOCHROME2"
        if samples == 3:
            dataset.PlanarConfiguration = 0
        dataset.BitsAllocated = dataset.BitsStored = 8 * stored.dtype.itemsize
        dataset.HighBit = dataset.BitsStored - 1
        dataset.PixelRepresentation = int(stored.dtype.kind == "i")
        dataset.PixelData = stored.tobytes()
        for keyword, value in elements.items():
            if value is None:
                del dataset[keyword]
            else:
                setattr(dataset, keyword, value)
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        path = tmp_path / name
        dataset.save_as(path, enforce_file_format=True)
        return path

    return write
