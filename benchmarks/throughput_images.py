"""Made radiographs for the throughput benchmark: one picture, 2048 x 2500 with 12 bits, in every container."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import PIL.Image
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

SHAPE = (2500, 2048)


def radiograph(seed: int = 0) -> NDArray[np.uint16]:
    """12 bits: soft shapes of all sizes, a few per mille of noise, both extremes present."""
    rng = np.random.default_rng(seed)
    picture = np.zeros(SHAPE, np.float32)
    for octave in range(2, 8):
        coarse = rng.random((2**octave, 2**octave), dtype=np.float32)
        picture += cv2.resize(coarse, SHAPE[::-1], interpolation=cv2.INTER_CUBIC) * 0.55**octave
    picture = (picture - picture.min()) / np.ptp(picture) * 4095 + rng.normal(0, 8, SHAPE)
    stored = picture.clip(0, 4095).round().astype(np.uint16)
    stored[0, :2] = 0, 4095
    return stored


def write_all(folder: Path) -> dict[str, Path]:
    """Every container by its name."""
    twelve = radiograph()
    eight = (twelve >> 4).astype(np.uint8)
    streams: dict[str, tuple[UID, NDArray[np.generic], Callable[[], bytes]]] = {
        "uncompressed": (ExplicitVRLittleEndian, twelve, twelve.tobytes),
        "JPEG 2000": (
            JPEG2000Lossless, twelve,
            lambda: imagecodecs.jpeg2k_encode(twelve, level=0, codecformat="j2k", bitspersample=12, reversible=True),
        ),
        "HTJ2K": (HTJ2KLossless, twelve, lambda: imagecodecs.htj2k_encode(twelve, reversible=True)),
        "JPEG-LS": (JPEGLSLossless, twelve, lambda: imagecodecs.jpegls_encode(twelve)),
        "JPEG Lossless": (
            JPEGLosslessSV1, twelve, lambda: imagecodecs.jpeg8_encode(twelve, lossless=True, predictor=1, bitspersample=12),
        ),
        "JPEG, 8 bits": (JPEGBaseline8Bit, eight, lambda: imagecodecs.jpeg8_encode(eight, level=90)),
    }  # fmt: skip
    files = {name: dicom(folder / f"{name}.dcm", syntax, stored, make()) for name, (syntax, stored, make) in streams.items()}
    run_lengths = folder / "RLE.dcm"
    plain = Dataset()
    plain.update(_header(ExplicitVRLittleEndian, twelve, twelve.tobytes()))
    plain.file_meta = _meta(ExplicitVRLittleEndian)
    plain.compress(RLELossless, encoding_plugin="pydicom")
    plain.save_as(run_lengths, enforce_file_format=True)
    PIL.Image.fromarray(eight).save(folder / "8.png")
    PIL.Image.fromarray(twelve * 16).save(folder / "16.png")
    PIL.Image.fromarray(eight).save(folder / "8.jpg", quality=90)
    pictures = {"PNG, 8 bits": folder / "8.png", "PNG, 16 bits": folder / "16.png", "JPEG picture": folder / "8.jpg"}
    return {**files, "RLE": run_lengths, **pictures}


def dicom(path: Path, syntax: UID, stored: NDArray[np.generic], stream: bytes) -> Path:
    dataset = _header(syntax, stored, encapsulate([stream]) if syntax.is_encapsulated else stream)
    dataset.file_meta = _meta(syntax)
    dataset.save_as(path, enforce_file_format=True)
    return path


def _header(syntax: UID, stored: NDArray[np.generic], pixels: bytes) -> Dataset:
    """The window spans the stored range exactly, so that MONAI's minimum … maximum gives the same picture and the two can be compared."""
    bits = 8 if stored.dtype == np.uint8 else 12
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = DigitalXRayImageStorageForPresentation, generate_uid(), "DX"
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PixelRepresentation = 1, "MONOCHROME2", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8 * stored.dtype.itemsize, bits, bits - 1
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, 0
    dataset.VOILUTFunction, dataset.WindowCenter, dataset.WindowWidth = "LINEAR_EXACT", (2**bits - 1) / 2, 2**bits - 1
    dataset.PixelData = pixels
    dataset["PixelData"].VR = "OB" if syntax.is_encapsulated or bits == 8 else "OW"
    return dataset


def _meta(syntax: UID) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    return meta
