"""Damaged DICOM files without end, each the same every time: made and real ones, changed in ways that accidents and attackers know."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import imagecodecs
import numpy as np
import pydicom
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

PERSON = ("PatientName", "PatientID", "PatientBirthDate", "AccessionNumber", "ReferringPhysicianName")
PIXEL_DATA = b"\xe0\x7f\x10\x00"
SYNTAXES = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, JPEGBaseline8Bit,
            JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless, HTJ2KLossless, RLELossless, UID("1.2.840.10008.1.2.4.51"),
            UID("1.2.840.10008.1.2.4.100"), UID("1.2.3.4"), UID("ZZCANARY", pydicom.config.IGNORE))  # fmt: skip
LIES: dict[str, tuple[Any, ...]] = {
    "Rows": (0, 1, 2, 31, 4096, 60000, 65535),
    "Columns": (0, 1, 2, 31, 4096, 60000, 65535),
    "BitsAllocated": (0, 1, 7, 8, 12, 16, 17, 32, 64),
    "BitsStored": (0, 1, 7, 10, 16, 17, 255),
    "HighBit": (0, 15, 99),
    "PixelRepresentation": (0, 1, 2, 77),
    "SamplesPerPixel": (0, 1, 2, 3, 4, 255),
    "PlanarConfiguration": (0, 1, 2),
    "NumberOfFrames": ("0", "-1", "2", "1000000", "1A", ""),
    "RescaleSlope": ("nan", "inf", "0", "1e308", "-1", ""),
    "RescaleIntercept": ("nan", "-inf", "1e308", "x"),
    "WindowCenter": ("nan", "1e308", "0", "x"),
    "WindowWidth": ("0", "-1", "nan", "1e-300", "1e308"),
    "VOILUTFunction": ("SIGMOID", "ZZCANARY"),
    "PresentationLUTShape": ("INVERSE", "ZZCANARY"),
    "PixelPaddingValue": (0, 65535),
    "PhotometricInterpretation": (
        "MONOCHROME1",
        "MONOCHROME2",
        "RGB",
        "YBR_FULL",
        "YBR_FULL_422",
        "YBR_RCT",
        "PALETTE COLOR",
        "ZZCANARY",
        "",
    ),
    "SOPClassUID": ("ZZCANARY", "1.2.840.10008.5.1.4.1.1.88.11"),
    "Modality": ("ZZCANARY^ANN BORN 1950",),
    "BodyPartExamined": ("ZZCANARY^ANN BORN 1950",),
}
"""What headers say that is not so, or is no sense at all."""


class Seed(NamedTuple):
    name: str
    data: bytes
    secrets: tuple[str, ...]
    frame: int = 0


def made() -> Iterator[Seed]:
    """A small file of every family of transfer syntaxes."""
    rows, columns = np.mgrid[0:48, 0:64]
    grey = (rows * 3 + columns).astype(np.uint8)
    deep = (grey.astype(np.uint16) * 13 + rows.astype(np.uint16)) & 4095
    colour = np.stack([grey, 255 - grey, grey // 2], axis=2)
    compressed = {
        "jpeg": (JPEGBaseline8Bit, grey, imagecodecs.jpeg8_encode(grey)),
        "lossless": (JPEGLosslessSV1, deep, imagecodecs.ljpeg_encode(deep, bitspersample=12)),
        "jpeg-ls": (JPEGLSLossless, deep, imagecodecs.jpegls_encode(deep)),
        "jpeg-2000": (JPEG2000Lossless, deep, imagecodecs.jpeg2k_encode(deep, level=0, codecformat="j2k")),
        "jpeg-2000-colour": (JPEG2000Lossless, colour, imagecodecs.jpeg2k_encode(colour, level=0, codecformat="j2k")),
        "htj2k": (HTJ2KLossless, deep, imagecodecs.htj2k_encode(deep)),
    }
    for name, (syntax, stored, stream) in compressed.items():
        yield seed(name, stored, syntax, stream)
    for name, syntax in (
        ("implicit", ImplicitVRLittleEndian),
        ("explicit", ExplicitVRLittleEndian),
        ("deflated", DeflatedExplicitVRLittleEndian),
    ):
        yield seed(name, deep, syntax)
    yield seed("rgb", colour, ExplicitVRLittleEndian)
    yield seed("run-lengths", deep, RLELossless)


def seed(name: str, stored: np.ndarray, syntax: UID, stream: bytes | None = None) -> Seed:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = CTImageStorage, "1.2.3", "DX"
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = "ZZCANARY^ANN", "ZZCANARY-4711", "19500101"
    dataset.Rows, dataset.Columns = stored.shape[:2]
    dataset.SamplesPerPixel = stored.shape[2] if stored.ndim == 3 else 1
    dataset.PhotometricInterpretation = "RGB" if stored.ndim == 3 else "MONOCHROME2"
    dataset.PlanarConfiguration, dataset.PixelRepresentation = 0, 0
    dataset.BitsAllocated = 8 * stored.dtype.itemsize
    dataset.BitsStored = 12 if stored.dtype == np.uint16 else 8
    dataset.HighBit = dataset.BitsStored - 1
    dataset.WindowCenter, dataset.WindowWidth, dataset.RescaleSlope, dataset.RescaleIntercept = 900, 1800, 1, 0
    dataset.PixelData = stored.tobytes()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if syntax == RLELossless:
        dataset.compress(RLELossless, encoding_plugin="pydicom", generate_instance_uid=False)
    elif stream is not None:
        dataset.PixelData = encapsulate([stream])
        dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = syntax
    held = io.BytesIO()
    dataset.save_as(held, enforce_file_format=True)
    return Seed(name, held.getvalue(), ("ZZCANARY",))


def real(folder: Path) -> Iterator[Seed]:
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(path, force=True, stop_before_pixels=True)
            secrets = {str(dataset.get(keyword, "")).strip() for keyword in PERSON}
            several = int(dataset.get("NumberOfFrames") or 1) > 1
        yield Seed(path.name, path.read_bytes(), ("ZZCANARY", *(secret for secret in secrets if len(secret) > 4)), int(several))


class Mutants:
    """Mutant `number` is the same every time."""

    def __init__(self, seeds: list[Seed]):
        self.seeds = seeds
        # small ones more often, as they are decoded faster; those without pixels seldom
        weights = np.array([(1 if PIXEL_DATA in each.data else 0.1) / (len(each.data) + 30_000) for each in seeds])
        self.shares = 0.8 * weights / weights.sum() + 0.2 / len(seeds)
        self.ways: tuple[Callable[[bytes, np.random.Generator], bytes], ...] = (
            self.scattered, self.in_header, self.in_codestream, self.extreme, self.cut, self.moved, self.spliced, self.lying, self.lying,
        )  # fmt: skip

    def make(self, number: int) -> tuple[Seed, bytes]:
        rng = np.random.default_rng([2026, number])
        chosen = self.seeds[rng.choice(len(self.seeds), p=self.shares)]
        data = chosen.data
        for _ in range(rng.choice([1, 1, 1, 2])):
            data = self.ways[rng.integers(len(self.ways))](data, rng)
        return chosen, data

    @staticmethod
    def _with(data: bytes, places: np.ndarray, values: np.ndarray) -> bytes:
        if not data:
            return data
        changed = np.frombuffer(data, np.uint8).copy()
        changed[np.clip(places, 0, len(data) - 1)] = values
        return changed.tobytes()

    def scattered(self, data: bytes, rng: np.random.Generator) -> bytes:
        count = int(rng.choice([1, 2, 8, 64]))
        return self._with(data, rng.integers(0, max(1, len(data)), count), rng.integers(0, 256, count))

    def in_header(self, data: bytes, rng: np.random.Generator) -> bytes:
        end = data.find(PIXEL_DATA)
        count = int(rng.choice([1, 1, 2, 4]))
        return self._with(data, rng.integers(128, max(129, end if end > 0 else len(data)), count), rng.integers(0, 256, count))

    def in_codestream(self, data: bytes, rng: np.random.Generator) -> bytes:
        start, count = max(0, data.find(PIXEL_DATA)), int(rng.choice([1, 2, 4]))
        return self._with(data, start + rng.integers(0, 160, count), rng.integers(0, 256, count))

    def extreme(self, data: bytes, rng: np.random.Generator) -> bytes:
        width, value = int(rng.choice([1, 2, 4, 8])), int(rng.choice([0, 0x7F, 0x80, 0xFF]))
        at = int(rng.integers(0, max(1, min(len(data), 4000) - width)))
        return self._with(data, np.arange(at, at + width), np.full(width, value))

    def cut(self, data: bytes, rng: np.random.Generator) -> bytes:
        return data[: int(rng.integers(0, len(data) + 1))]

    def moved(self, data: bytes, rng: np.random.Generator) -> bytes:
        at, length = int(rng.integers(0, len(data) + 1)), int(rng.choice([1, 2, 3, 8, 100, 4096]))
        return data[:at] + (data[at + length :] if rng.random() < 0.5 else data[at : at + length] + data[at:])

    def spliced(self, data: bytes, rng: np.random.Generator) -> bytes:
        other = self.seeds[rng.integers(len(self.seeds))].data
        start, end = max(0, data.find(PIXEL_DATA)), max(0, other.find(PIXEL_DATA))
        return data[:start] + other[end:]

    def lying(self, data: bytes, rng: np.random.Generator) -> bytes:
        held = io.BytesIO()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                dataset = pydicom.dcmread(io.BytesIO(data), force=True)
                for _ in range(rng.choice([1, 1, 2])):
                    _tell_a_lie(dataset, rng)
                pydicom.dcmwrite(held, dataset, enforce_file_format=False)
        except Exception:  # too damaged to be written once more
            return self.scattered(data, rng)
        return held.getvalue()


def _tell_a_lie(dataset: Dataset, rng: np.random.Generator) -> None:
    way, keyword = rng.random(), sorted(LIES)[rng.integers(len(LIES))]
    if way < 0.15:
        dataset.file_meta.TransferSyntaxUID = SYNTAXES[rng.integers(len(SYNTAXES))]
    elif way < 0.3 and keyword in dataset:
        del dataset[keyword]
    else:
        tag = pydicom.datadict.tag_for_keyword(keyword)
        assert tag is not None
        kind = pydicom.datadict.dictionary_VR(tag)
        element = DataElement(tag, "US" if kind == "US or SS" else kind, None, validation_mode=pydicom.config.IGNORE)
        element._value = LIES[keyword][rng.integers(len(LIES[keyword]))]  # as it is: pydicom would mend or refuse it
        dataset[tag] = element
