"""What a compressed image says of itself before anything is decoded: size, samples, bits, and whether it is all there.

Decoders allocate by these numbers, so a lie in them is a bomb. Sources: ITU-T T.81 (JPEG) B.2, T.87 (JPEG-LS) C.2, T.800 (JPEG 2000) A.5.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from pydicom.uid import UID, JPEG2000TransferSyntaxes

_START_OF_WAVELETS = b"\xff\x4f\xff\x51"
_END = b"\xff\xd9"
_TAIL = 64
_MOST_TILES = 65535
_FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
_ADOBE, _SCAN, _CODING_STYLE = 0xEE, 0xDA, 0x52


class BrokenStream(Exception):
    """Compressed data that contradict themselves or the header; the message may be shown."""


@dataclass(frozen=True)
class Claim:
    """The codestream's own header."""

    rows: int
    columns: int
    samples: int
    bits: int
    signed: bool = False
    levels: int = 0
    """How often it may be halved while decoding (wavelet levels of JPEG 2000)."""
    adobe: int | None = None
    """The colour transform of JPEG's Adobe marker: 0 none, 1 YCbCr."""


def claim_of(stream: bytes, syntax: UID) -> Claim:
    """Read a codestream's header.

    Arguments:
        stream: one frame; JPEG 2000 from :func:`wavelets_of`.
    Raises:
        BrokenStream: there is none, or the stream ends early.
    """
    if _END not in stream[-_TAIL:]:
        raise BrokenStream("the compressed data end early")
    try:
        return _of_wavelets(stream) if syntax in JPEG2000TransferSyntaxes else _of_jpeg(stream)
    except (struct.error, IndexError):
        raise BrokenStream("the compressed data's header is cut") from None


def wavelets_of(stream: bytes) -> bytes:
    """The codestream proper, without the JP2 boxes that some writers put around it although DICOM forbids them."""
    start = stream.find(_START_OF_WAVELETS, 0, 1 << 16)
    if start < 0:
        raise BrokenStream("the compressed data do not begin as JPEG 2000 does")
    return stream[start:] if start else stream


def _of_wavelets(stream: bytes) -> Claim:
    length, _, right, bottom, left, top, wide, high, tile_left, tile_top = struct.unpack(">HHIIIIIIII", stream[4:40])
    if not (tile_left <= left < min(right, tile_left + wide) and tile_top <= top < min(bottom, tile_top + high)):
        raise BrokenStream("the compressed data's tiles do not cover the picture")  # a decoder may seek for hours
    if -(-(right - tile_left) // wide) * -(-(bottom - tile_top) // high) > _MOST_TILES:
        raise BrokenStream("the compressed data claim more tiles than the standard allows")
    samples, depth = struct.unpack(">HB", stream[40:43])
    levels, at = 0, 4 + length
    while stream[at] == 0xFF and stream[at + 1] != 0x90:  # until the first tile
        if stream[at + 1] == _CODING_STYLE:
            levels = stream[at + 9]
        at += 2 + struct.unpack(">H", stream[at + 2 : at + 4])[0]
    return Claim(bottom - top, right - left, samples, (depth & 0x7F) + 1, bool(depth & 0x80), levels)


def _of_jpeg(stream: bytes) -> Claim:
    at, adobe = 2, None
    while stream[at] == 0xFF:
        marker = stream[at + 1]
        if marker == 0xFF:  # fill bytes may precede a marker
            at += 1
            continue
        if marker in _FRAMES:
            bits, rows, columns, samples = struct.unpack(">BHHB", stream[at + 4 : at + 10])
            return Claim(rows, columns, samples, bits, adobe=adobe)
        if marker == _SCAN:
            break
        if marker == _ADOBE and stream[at + 4 : at + 9] == b"Adobe":
            adobe = stream[at + 15]
        at += 2 + struct.unpack(">H", stream[at + 2 : at + 4])[0]
    raise BrokenStream("the compressed data do not begin as JPEG does")
