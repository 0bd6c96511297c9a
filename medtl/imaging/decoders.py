"""Compressed pixel data → samples: which library decodes which transfer syntax, and what is checked before it may.

All but run lengths go to imagecodecs (BSD; libjpeg-turbo, CharLS, OpenJPEG, OpenJPH): measured fastest for each family, it ends corrupt
data with exceptions, and it alone reads JPEG Lossless and 12-bit JPEG under a free licence (see docs/decisions/0011-decoders.md).
"""

from __future__ import annotations

import contextlib
import struct
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom.pixels.decoders.base import DecodeRunner
from pydicom.uid import (
    HTJ2K,
    UID,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000TransferSyntaxes,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    RLELossless,
)

from medtl.imaging.codestreams import BrokenStream, Claim, claim_of, wavelets_of
from medtl.imaging.shrinking import settled_wavelets, shrunk_jpeg, shrunk_wavelets

SYNTAXES = frozenset((*JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes, *JPEG2000TransferSyntaxes, RLELossless))
"""What :func:`decode` reads."""
_HIGH_THROUGHPUT = frozenset((HTJ2K, HTJ2KLossless, HTJ2KLosslessRPCL))
_DCT_HALVINGS = 3
_threads = 1


def use_threads(count: int) -> None:
    """Let one image's decoder take `count` threads from now on in this process (JPEG 2000; the other libraries know none). Same samples."""
    global _threads
    _threads = count


@dataclass(frozen=True)
class Header:
    """What the DICOM header says of one frame."""

    rows: int
    columns: int
    samples: int
    bits_allocated: int
    bits_stored: int


@dataclass(frozen=True)
class Samples:
    """One decoded frame."""

    words: NDArray[Any]
    """uint8 or uint16 (H, W) or (H, W, S); negative values as two's complement within `bits`."""
    bits: int
    """The bits of a word that count: the codestream's own precision, or the header's where the codestream has none."""
    halvings: int = 0
    """How often both sides were halved."""
    adobe: int | None = None
    """See :class:`medtl.imaging.codestreams.Claim`."""


def decode(stream: bytes, syntax: UID, header: Header, halvings: int = 0) -> Samples:
    """Decode one frame.

    Arguments:
        stream: the frame's compressed bytes.
        syntax: one of `SYNTAXES`.
        header: what must come out; a codestream that claims another size or number of samples is not decoded.
        halvings: how often both sides may be halved while decoding, which costs a fraction of the whole: JPEG 2000 of one sample leaves
            out its finest wavelets, 8-bit JPEG of one sample its highest frequencies. The other syntaxes ignore it.
    Raises:
        BrokenStream: the data contradict themselves or the header.
        Exception: whatever the library raises on broken data.
    """
    if syntax == RLELossless:
        return Samples(_run_lengths(stream, header), header.bits_stored)
    stream = wavelets_of(stream) if syntax in JPEG2000TransferSyntaxes else stream
    claim = claim_of(stream, syntax)
    if (claim.rows, claim.columns, claim.samples) != (header.rows, header.columns, header.samples):
        raise BrokenStream("the compressed image has another size, or other samples per pixel, than the header says")
    halvings = min(halvings, _halvings(syntax, claim))
    if halvings and syntax not in _HIGH_THROUGHPUT:
        shrink = shrunk_wavelets if syntax in JPEG2000TransferSyntaxes else shrunk_jpeg
        with contextlib.suppress(Exception):  # rare forms of JPEG 2000 that Pillow does not read: whole, then
            return Samples(shrink(stream, claim, halvings), claim.bits, halvings)
        halvings = 0
    if syntax in JPEG2000TransferSyntaxes:
        return Samples(_wavelets(stream, syntax, claim, halvings), claim.bits, halvings)
    bits = claim.bits if syntax in JPEGLSTransferSyntaxes else header.bits_stored
    return Samples(_jpeg(stream, syntax, claim), bits, adobe=claim.adobe)


def _halvings(syntax: UID, claim: Claim) -> int:
    """How often the codestream can be halved."""
    if claim.samples > 1 or claim.bits > 16:
        return 0
    if syntax in JPEG2000TransferSyntaxes:
        return claim.levels
    return _DCT_HALVINGS if syntax in (JPEGBaseline8Bit, JPEGExtended12Bit) and claim.bits == 8 else 0


def _wavelets(stream: bytes, syntax: UID, claim: Claim, halvings: int) -> NDArray[Any]:
    import imagecodecs

    if syntax not in _HIGH_THROUGHPUT:
        words = imagecodecs.jpeg2k_decode(stream, planar=False, numthreads=_threads)
        return words.view(f"u{words.dtype.itemsize}")
    words = imagecodecs.htj2k_decode(stream, planar=False, skipres=halvings or None)
    words = words.view(f"u{words.dtype.itemsize}")
    return settled_wavelets(words, claim, halvings) if halvings else words


def _jpeg(stream: bytes, syntax: UID, claim: Claim) -> NDArray[Any]:
    """Samples as coded: no colour is converted here."""
    import imagecodecs

    if syntax in JPEGLSTransferSyntaxes:
        return np.asarray(imagecodecs.jpegls_decode(stream))
    space = "GRAYSCALE" if claim.samples == 1 else "RGB"
    return np.asarray(imagecodecs.jpeg8_decode(stream, colorspace=space, outcolorspace=space))


def _run_lengths(stream: bytes, header: Header) -> NDArray[Any]:
    """PS3.5 annex G: one PackBits segment for each byte of a sample, the most significant first.

    Segment by segment, since imagecodecs' decoder of the whole can be made to write beyond its output.
    """
    import imagecodecs

    if header.bits_allocated not in (8, 16) or len(stream) < 64:
        raise BrokenStream("run lengths of such samples are not read")
    count, *offsets = struct.unpack("<16I", stream[:64])
    if count != header.samples * header.bits_allocated // 8:
        raise BrokenStream("the run lengths hold another number of segments than the header says")
    pixels, ends = header.rows * header.columns, [*offsets[1:count], len(stream)]
    planes = []
    for start, end in zip(offsets, ends, strict=False):
        unpacked = np.frombuffer(imagecodecs.packbits_decode(stream[start:end], out=pixels + 2), np.uint8)  # 2: padding
        if len(unpacked) < pixels:
            raise BrokenStream("the run lengths end early")
        planes.append(unpacked[:pixels].reshape(header.rows, header.columns))
    if header.bits_allocated == 16:
        pairs = zip(planes[::2], planes[1::2], strict=True)
        planes = [cv2.merge((low, high)).view("<u2")[..., 0] for high, low in pairs]
    return planes[0] if len(planes) == 1 else np.stack(planes, axis=-1)


DECODER_DEPENDENCIES = dict.fromkeys(SYNTAXES, ("imagecodecs",))
"""With the two functions below, what pydicom asks of a decoder: colour goes through its machinery."""


def is_available(syntax: str) -> bool:
    """Whether :func:`decode_for_pydicom` reads a transfer syntax."""
    return syntax in SYNTAXES


def decode_for_pydicom(stream: bytes, runner: DecodeRunner) -> bytes:
    """One frame as pydicom wants it; what is YCbCr is said to be, and pydicom converts it."""
    header = Header(runner.rows, runner.columns, runner.samples_per_pixel, runner.bits_allocated, runner.bits_stored)
    found = decode(stream, runner.transfer_syntax, header)
    runner.set_option("planar_configuration", 0)
    runner.set_option("bits_allocated", 8 * found.words.dtype.itemsize)
    if runner.photometric_interpretation in ("YBR_ICT", "YBR_RCT") or found.adobe == 0:
        runner.set_option("photometric_interpretation", "RGB")
    elif found.adobe == 1:
        runner.set_option("photometric_interpretation", "YBR_FULL")
    return found.words.tobytes()
