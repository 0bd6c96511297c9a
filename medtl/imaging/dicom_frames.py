"""One frame of a DICOM data set as stored, be it compressed or not.

Grey and palette frames of 8 or 16 bits stay as they lie in the file: unused bits and signs are a table's business (see
:mod:`medtl.imaging.grey_levels`), so that a large radiograph is not copied. Everything else is decoded by pydicom, with our decoders.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import Decoder, get_decoder
from pydicom.uid import UID, JPEGBaseline8Bit, JPEGExtended12Bit, RLELossless

from medtl.imaging.codestreams import BrokenStream
from medtl.imaging.decoders import SYNTAXES, Header, Samples, decode
from medtl.imaging.dicom_facts import registered_name
from medtl.imaging.image import Encoded

_UNDEFINED = 0xFFFFFFFF
"""The length of an element that ends where a delimiter says so."""

_CODESTREAMS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\xfe\xff\x00\xe0")
"""How JPEG and JPEG-LS begin, JPEG 2000, and the item that DICOM puts around either."""


@dataclass(frozen=True)
class Stored:
    """One frame as the file holds it."""

    words: NDArray[Any]
    """(H, W) or (H, W, 3). With `meaning` uint8 or uint16, else values."""
    meaning: NDArray[np.int32] | None
    """The value of every possible word: unused bits masked, sign extended."""
    photometric: str
    """After decoding: YBR has become RGB."""
    halvings: int = 0
    """How often both sides were halved while decoding."""

    def values(self) -> NDArray[Any]:
        """What the words mean."""
        return self.words if self.meaning is None else self.meaning[self.words]


def read_frame(dataset: Dataset, number: int, encoded: Encoded, halvings: int = 0) -> Stored:
    """Decode frame `number`, counted from 0.

    Arguments:
        halvings: how often both sides may be halved where decoding allows it (see :func:`medtl.imaging.decoders.decode`).
    Raises:
        ImageError: UNSUPPORTED, DECODE_FAILED.
    """
    syntax = dataset.file_meta.TransferSyntaxUID
    name = registered_name(syntax)
    if syntax not in SYNTAXES and (not syntax.is_transfer_syntax or syntax.is_encapsulated):
        raise encoded.refused("UNSUPPORTED", f"no decoder is known for its transfer syntax{name and f', {name}'}")
    try:
        if not syntax.is_encapsulated and "PixelData" in dataset:
            _check_plain(dataset, encoded.data)
        shift = _unused_below(dataset, syntax)
        if _stays_as_it_lies(dataset):
            samples = (
                _compressed(dataset, number, syntax, halvings) if syntax.is_encapsulated else _plain(dataset, number, syntax, encoded.data)
            )
            meaning = _meaning(samples, int(dataset.PixelRepresentation), syntax, shift)
            return Stored(samples.words, meaning, str(dataset.PhotometricInterpretation), samples.halvings)
        options = {"bits_stored": int(dataset.BitsStored) + shift} if shift else {}  # pydicom takes the lowest bits to be those that count
        values, properties = _decoder(syntax).as_array(dataset, index=number, **options)
        values = values >> shift if shift else values
    except MemoryError:
        raise
    except BrokenStream as broken:
        raise encoded.refused("DECODE_FAILED", str(broken)) from None
    except Exception as error:
        raise encoded.refused("DECODE_FAILED", f"the pixel data ({name}) are broken ({type(error).__name__})") from None
    return Stored(np.asarray(values, values.dtype.newbyteorder("=")), None, str(properties["photometric_interpretation"]))


def _stays_as_it_lies(dataset: Dataset) -> bool:
    syntax = dataset.file_meta.TransferSyntaxUID
    if "PixelData" not in dataset or dataset.SamplesPerPixel != 1 or dataset.BitsAllocated not in (8, 16):
        return False
    return bool(syntax.is_little_endian or dataset.BitsAllocated == 16)  # big-endian bytes may lie in swapped pairs


def _check_plain(dataset: Dataset, file: bytes) -> None:
    """Refuse a codestream that a false transfer syntax calls uncompressed: read as pixels it is noise.

    Pixels may begin like one by chance; then they have the length that they should have.
    """
    data = _where_it_lies(dataset, file)
    if not bytes(data[:4]).startswith(_CODESTREAMS):
        return
    pixels = int(dataset.Rows) * int(dataset.Columns) * int(dataset.SamplesPerPixel) * int(dataset.get("NumberOfFrames") or 1)
    length = -(-pixels * int(dataset.BitsAllocated) // 8)
    if len(data) not in (length, length + length % 2):
        raise BrokenStream("the transfer syntax says that the pixel data are uncompressed, but they begin like compressed ones")


def _unused_below(dataset: Dataset, syntax: UID) -> int:
    """How many bits of a word lie below those that count (PS3.5 8.1.1); codestreams but run lengths hold none of them.

    A high bit that leaves no room for the bits stored, above it or below, is not believed.
    """
    if (syntax.is_encapsulated and syntax != RLELossless) or dataset.get("HighBit") in (None, ""):
        return 0
    shift = int(dataset.HighBit) + 1 - int(dataset.BitsStored)
    return shift if 0 < shift <= int(dataset.BitsAllocated) - int(dataset.BitsStored) else 0


def _plain(dataset: Dataset, number: int, syntax: UID, file: bytes) -> Samples:
    """A view of the file's own bytes."""
    dtype = np.dtype(f"{'<' if syntax.is_little_endian else '>'}u{dataset.BitsAllocated // 8}")
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    length = rows * columns * dtype.itemsize
    data = _where_it_lies(dataset, file)
    if len(data) < length * int(dataset.get("NumberOfFrames") or 1):
        raise BrokenStream("the pixel data end early")
    words = np.frombuffer(data, dtype, rows * columns, number * length).reshape(rows, columns)
    return Samples(words.astype(dtype.newbyteorder("="), copy=False), int(dataset.BitsStored))


def _where_it_lies(dataset: Dataset, file: bytes) -> bytes | memoryview:
    """The pixel data, not copied where pydicom has left them in the file."""
    element = dataset.get_item("PixelData", keep_deferred=True)
    if not isinstance(element, RawDataElement) or element.value is not None or element.length == _UNDEFINED:
        return bytes(dataset.PixelData)
    return memoryview(file)[element.value_tell : element.value_tell + element.length]


def _compressed(dataset: Dataset, number: int, syntax: UID, halvings: int) -> Samples:
    offsets = None
    if "ExtendedOffsetTable" in dataset and "ExtendedOffsetTableLengths" in dataset:
        offsets = (dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths)
    frames = int(dataset.get("NumberOfFrames") or 1)
    stream = get_frame(dataset.PixelData, number, number_of_frames=frames, extended_offsets=offsets)
    header = Header(int(dataset.Rows), int(dataset.Columns), 1, int(dataset.BitsAllocated), int(dataset.BitsStored))
    samples = decode(stream, syntax, header, halvings)
    if samples.words.dtype not in (np.uint8, np.uint16):
        raise BrokenStream("the compressed image has more bits than the header says")
    return samples


def _meaning(samples: Samples, signed: int, syntax: UID, shift: int) -> NDArray[np.int32]:
    """The value of every word. Lossy JPEG overshoots the stored range a little: where pydicom would mask (white turns black), we clip."""
    width = 8 * samples.words.dtype.itemsize
    if not 1 <= samples.bits <= width or signed not in (0, 1):
        raise BrokenStream("the header's bits stored and pixel representation contradict the pixel data")
    words, largest = np.arange(1 << width, dtype=np.int32) >> shift, (1 << samples.bits) - 1
    if signed:
        return ((words & largest) ^ (1 << (samples.bits - 1))) - np.int32(1 << (samples.bits - 1))
    return np.minimum(words, largest) if syntax in (JPEGBaseline8Bit, JPEGExtended12Bit) else words & largest


@lru_cache
def _decoder(syntax: UID) -> Decoder:
    """pydicom's own for uncompressed data; else one of ours, which changes nothing for other users of pydicom in this process."""
    if not syntax.is_encapsulated:
        return get_decoder(syntax)
    decoder = Decoder(syntax)
    decoder.add_plugin("medtl", ("medtl.imaging.decoders", "decode_for_pydicom"))
    return decoder
