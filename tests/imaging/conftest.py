"""A picture that no turn or flip maps onto itself, and files made of it."""

from __future__ import annotations

import struct
import zlib
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


@pytest.fixture(scope="session")
def held() -> Callable[[np.ndarray, int], np.ndarray]:
    """What a camera held in the way of EXIF orientation 1 … 8 stores of an upright picture (EXIF 2.32, tag 274)."""
    stored: dict[int, Callable[[np.ndarray], np.ndarray]] = {
        1: lambda p: p, 2: np.fliplr, 3: lambda p: np.rot90(p, 2), 4: np.flipud, 5: lambda p: p.swapaxes(0, 1),
        6: lambda p: np.rot90(p, 1), 7: lambda p: np.rot90(p, 2).swapaxes(0, 1), 8: lambda p: np.rot90(p, -1),
    }  # fmt: skip
    return lambda picture, code: np.ascontiguousarray(stored[code](picture))


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


@pytest.fixture(scope="session")
def png() -> Callable[..., bytes]:
    """Makes PNGs of kinds that Pillow does not write: samples uint8 or uint16 (H, W[, C]), the colour type, further chunks by name."""

    def make(samples: np.ndarray, colour_type: int, **chunks: bytes) -> bytes:
        rows = samples.astype(samples.dtype.newbyteorder(">")).reshape(len(samples), -1)
        header = struct.pack(">IIBBBBB", samples.shape[1], samples.shape[0], 8 * samples.dtype.itemsize, colour_type, 0, 0, 0)
        data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
        parts = {"IHDR": header, **chunks, "IDAT": data, "IEND": b""}
        return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name.encode(), part) for name, part in parts.items())

    return make
