"""DICOM files: what they claim is checked, decoded, and handed on as upright pixels in [0, 1].

Decoding stands in :mod:`medtl.imaging.dicom_frames`, the grey chain (modality, window, inversion) in :mod:`medtl.imaging.grey_levels`.
Overlay planes, embedded or not, are not burnt in.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, MediaStorageDirectoryStorage

from medtl.errors import ImageError
from medtl.imaging.dicom_facts import facts_of, no_picture, registered_name
from medtl.imaging.dicom_frames import Stored, read_frame
from medtl.imaging.dicom_tables import palette
from medtl.imaging.grey_levels import shows_as_much_when_shrunk, to_grey_levels
from medtl.imaging.image import Encoded, Image, LookUp, Receipt, Values

_REQUIRED = ("Rows", "Columns", "BitsAllocated", "BitsStored", "PixelRepresentation", "SamplesPerPixel", "PhotometricInterpretation")
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_FUNCTIONAL_GROUPS = ("PixelValueTransformationSequence", "FrameVOILUTSequence", "PixelMeasuresSequence", "FrameAnatomySequence")
_PREAMBLE = 132
_LARGE = 1 << 20
"""Elements of more bytes stay in the file's bytes until they are asked for: copying the pixels costs more than reading the header."""
_BEGINNING = 1 << 20
"""Bytes of a deflated file, packed and expanded, that are looked at for its header alone."""
_LOGS = tuple(logging.getLogger(name) for name in ("pydicom", "pydicom.pixels.decoders.base", "pydicom.pixels.utils", "highdicom.base"))


def begins_like(data: bytes) -> bool:
    """Whether the bytes look like DICOM: the preamble, or without one a first element of group 0002 or 0008."""
    return data[128:132] == b"DICM" or data[:2] in (b"\x02\x00", b"\x08\x00")


def read(encoded: Encoded) -> Image:
    """Decode one frame of a DICOM file.

    Raises:
        ImageError: NOT_AN_IMAGE, NO_PIXELS, BAD_HEADER, TOO_LARGE (by the header), MULTI_FRAME, UNSUPPORTED, NOT_FINITE, DECODE_FAILED.
    """
    with quietly():
        dataset = _open(encoded)
        frame = _check(dataset, encoded)
        notes = _complete(dataset, frame)
        stored = read_frame(dataset, frame, encoded, _halvings(dataset, encoded))
        pixels: LookUp | NDArray[np.float32]
        values: Values | None = None
        if stored.words.ndim == 2 and stored.photometric.startswith("MONOCHROME"):
            levels = to_grey_levels(stored, dataset, encoded)
            pixels = levels.shown if isinstance(levels.shown, LookUp) else levels.shown[None]
            intensity, inverted, notes, values = levels.intensity, levels.inverted, [*notes, *levels.notes], levels.values
        else:
            pixels, intensity = _colour(stored, dataset, encoded)
            inverted = False
        facts = facts_of(dataset)
        if dataset.get("PresentationIntentType") == "FOR PROCESSING":
            notes.append("raw image (FOR PROCESSING), not meant for display")
        if dataset.get("BurnedInAnnotation") == "YES":
            notes.append("the header says that annotation is burnt into the pixels")
    receipt = Receipt(
        format="DICOM", sha256=encoded.sha256, bytes=len(encoded.data), frame=frame, orientation="as stored", intensity=intensity,
        bits=int(dataset.BitsStored), photometric=str(dataset.PhotometricInterpretation), inverted=inverted, notes=tuple(notes),
        facts=facts, encoding=registered_name(dataset.file_meta.TransferSyntaxUID),
        full_size=(int(dataset.Rows), int(dataset.Columns)) if stored.halvings else None,
    )  # fmt: skip
    return Image(pixels, receipt, values)


def header(data: bytes, largest_pixels: int = 100_000_000) -> Dataset:
    """All elements of a DICOM file; deflated ones are expanded under the cap that reading has. Raises ImageError where it is none."""
    if not begins_like(data):
        raise ImageError("NOT_AN_IMAGE", "the file", "is no DICOM file")
    return _open(Encoded("the file", data, "", None, largest_pixels))


def deflated_beginning(file: BinaryIO) -> Dataset:
    """Groups 0008 to 0028 of a deflated DICOM file (who, when, what, how), out of its first megabyte.

    Raises:
        ValueError: they go on beyond that, or end before they should.
    """
    data = file.read(_BEGINNING)
    _, start = _file_meta(data)
    expander = zlib.decompressobj(-zlib.MAX_WBITS)
    expanded = io.BytesIO(expander.decompress(memoryview(data)[start:], _BEGINNING))
    dataset = read_dataset(
        expanded, is_implicit_VR=False, is_little_endian=True, stop_when=lambda tag, _vr, _length: not 0x08 <= tag.group <= 0x28
    )
    if expanded.tell() >= expanded.getbuffer().nbytes and not expander.eof:
        raise ValueError("the beginning of a deflated data set is cut, or too long")
    return dataset


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """pydicom's warnings and log messages quote header values, which may be a person's."""
    before = [log.disabled for log in _LOGS]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for log in _LOGS:  # another level would empty the caches of all loggers there are: milliseconds an image
                log.disabled = True
            yield
        finally:
            for log, disabled in zip(_LOGS, before, strict=True):
                log.disabled = disabled


def _open(encoded: Encoded) -> Dataset:
    try:
        meta, start = _file_meta(encoded.data)
        if meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
            return _inflate(meta, encoded.data[start:], encoded)
        dataset = dcmread(io.BytesIO(encoded.data), force=True, defer_size=_LARGE)
        if "DirectoryRecordSequence" in dataset:
            dataset.SOPClassUID = MediaStorageDirectoryStorage  # which a DICOMDIR says in its preface only
        if "SOPClassUID" not in dataset and "Rows" not in dataset:
            raise InvalidDicomError
        return dataset
    except InvalidDicomError:
        if encoded.data[128:_PREAMBLE] == b"DICM":
            raise encoded.refused("BAD_HEADER", "a DICOM file that is cut short, or whose elements are broken") from None
        raise encoded.refused("NOT_AN_IMAGE", "begins like DICOM, but is none") from None
    except (ImageError, MemoryError):
        raise
    except Exception as error:
        raise encoded.refused("BAD_HEADER", f"the DICOM header cannot be read ({type(error).__name__})") from None


def _file_meta(data: bytes) -> tuple[Dataset, int]:
    """The file meta information (group 0002) and where the data set begins; nothing behind is touched."""
    if data[128:132] != b"DICM":
        return Dataset(), 0
    stream = io.BytesIO(data)
    stream.seek(_PREAMBLE)
    meta = read_dataset(stream, is_implicit_VR=False, is_little_endian=True, stop_when=lambda tag, _vr, _length: tag.group != 2)
    return meta, stream.tell()


def _inflate(meta: Dataset, packed: bytes, encoded: Encoded) -> Dataset:
    """A deflated data set expands up to a thousandfold, and pydicom would do that before any element is checked: expand under a cap."""
    most = 8 * encoded.largest_pixels + (16 << 20)
    expander = zlib.decompressobj(-zlib.MAX_WBITS)
    expanded = expander.decompress(packed, most)
    if expander.unconsumed_tail:
        raise encoded.refused("TOO_LARGE", f"the deflated data set expands beyond {most} bytes")
    dataset = read_dataset(io.BytesIO(expanded), is_implicit_VR=False, is_little_endian=True)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian  # what it is now
    return dataset


def _check(dataset: Dataset, encoded: Encoded) -> int:
    """Refuse by the header alone what cannot or may not be decoded; returns the frame to read."""
    try:
        kind = registered_name(dataset.get("SOPClassUID"))
        if not any(keyword in dataset for keyword in _PIXELS):
            stated = f"{kind} without pixel data" if kind else "it has no pixel data"
            named = no_picture(dataset) or f"{stated} (cut short, or taken out)"
            raise encoded.refused("NO_PIXELS", f"DICOM without an image: {named}")
        if other := no_picture(dataset):
            raise encoded.refused("NOT_AN_IMAGE", f"is {other}, no image")
        missing = [keyword for keyword in _REQUIRED if dataset.get(keyword) in (None, "")]
        if "FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset:
            dataset.BitsStored = dataset.get("BitsAllocated")
            missing = [keyword for keyword in missing if keyword not in ("BitsStored", "PixelRepresentation")]
        if missing:
            raise encoded.refused("BAD_HEADER", f"the DICOM header lacks {', '.join(missing)}")
        frames = int(dataset.get("NumberOfFrames") or 1)
        rows, columns, samples = int(dataset.Rows), int(dataset.Columns), int(dataset.SamplesPerPixel)
        if frames < 1 or samples not in (1, 3):
            raise encoded.refused("BAD_HEADER", f"the header claims {frames} frames of {samples} samples per pixel")
        encoded.check_size(rows, columns, frames * samples)
    except (TypeError, ValueError, AttributeError, KeyError, NotImplementedError) as error:
        raise encoded.refused("BAD_HEADER", f"the DICOM header holds impossible values ({type(error).__name__})") from None
    if encoded.frame is None and frames > 1:
        raise encoded.refused("MULTI_FRAME", f"holds {frames} frames and none was chosen")
    if encoded.frame is not None and encoded.frame >= frames:
        raise encoded.refused("MULTI_FRAME", f"frame {encoded.frame} was asked for, but there are {frames} (counted from 0)")
    return encoded.frame or 0


def _complete(dataset: Dataset, frame: int) -> list[str]:
    """Fill in what the file says elsewhere: a missing transfer syntax, and what enhanced objects keep in functional groups."""
    notes = []
    if not hasattr(dataset, "file_meta"):
        dataset.file_meta = FileMetaDataset()
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit = dataset.original_encoding[0]
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
        notes.append("the transfer syntax is not stated: taken for uncompressed")
    shared = dataset.get("SharedFunctionalGroupsSequence") or [Dataset()]
    own = dataset.get("PerFrameFunctionalGroupsSequence") or []
    for group in (own[frame] if frame < len(own) else Dataset(), shared[0]):
        for keyword in _FUNCTIONAL_GROUPS:
            for element in (group.get(keyword) or [Dataset()])[0]:
                if element.tag not in dataset:
                    dataset.add(element)
    return notes


def _halvings(dataset: Dataset, encoded: Encoded) -> int:
    """How often both sides may be halved while decoding."""
    if encoded.at_least is None or not shows_as_much_when_shrunk(dataset):
        return 0
    return max(0, (min(int(dataset.Rows), int(dataset.Columns)) // max(1, encoded.at_least)).bit_length() - 1)


def _colour(stored: Stored, dataset: Dataset, encoded: Encoded) -> tuple[NDArray[np.float32], str]:
    """RGB, YBR (already turned to RGB) or palette indices → (3, H, W) in [0, 1]."""
    if stored.photometric == "PALETTE COLOR":
        try:
            table = palette(dataset, dataset.file_meta.TransferSyntaxUID.is_little_endian)
            scaled = table.of(stored.values()) if stored.meaning is None else table.of(stored.meaning)[stored.words]
        except Exception as error:
            raise encoded.refused("BAD_HEADER", f"its colour palette cannot be applied ({type(error).__name__})") from None
        intensity = "colour palette"
    elif stored.photometric == "RGB" and stored.words.ndim == 3:
        bits = int(dataset.BitsStored)
        scaled = np.divide(stored.values()[..., :3], np.float32(2**bits - 1), dtype=np.float32)
        intensity = f"range of {bits} bits"
    else:
        raise encoded.refused("UNSUPPORTED", "its photometric interpretation is none that medtl reads (MONOCHROME, RGB, YBR, palette)")
    return np.ascontiguousarray(np.clip(scaled, 0, 1).transpose(2, 0, 1)), intensity
