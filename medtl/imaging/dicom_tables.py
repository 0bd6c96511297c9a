"""DICOM's look-up tables of grey values and colours: positions never wrap round, whatever the entries' type.

pydicom keeps positions in the type of the entries, so that tables of 8 bits with more than 256 entries give garbage without a word; it
reads entries of 8 bits only in the one packing that it expects. PS3.3 C.7.6.3.1.5 (descriptor), C.7.6.3.1.6 (data), C.11.2.1.1 (VOI LUT).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import DataElement, Dataset
from pydicom.pixels.processing import apply_color_lut

_COLOURS = ("Red", "Green", "Blue")
_ELEMENT = "{}PaletteColorLookupTable{}"


@dataclass(frozen=True)
class Table:
    """What values show, in [0, 1]."""

    entries: NDArray[Any]
    """(N,) float64 of grey, (N, 3) float32 of colours."""
    first: int
    """The value that the first entry stands for; lower ones show the first entry, those beyond the last show the last."""

    def of(self, values: NDArray[Any]) -> NDArray[Any]:
        """The entry of each value, in the shape of `values` (of colours: and 3)."""
        last = self.first + len(self.entries) - 1
        return self.entries[np.clip(values, self.first, last).astype(np.int64) - self.first]


def grey_table(item: Dataset, signed: bool, little_endian: bool) -> Table:
    """An item of a VOI LUT sequence.

    Arguments:
        signed: whether the values that it is applied to may be negative; the first value mapped is then a signed number, however written.
        little_endian: byte order of the file.
    Raises:
        ValueError: the table contradicts itself.
    """
    count, first, bits = _described(item.LUTDescriptor, signed)
    entries, packed = _entries(item["LUTData"], count, little_endian)
    if bits == 8 and entries.max() > 255:
        raise ValueError("entries of more than the stated 8 bits")
    return Table(entries / (255 if packed else 2**bits - 1), first)


def palette(dataset: Dataset, little_endian: bool) -> Table:
    """The colours of a palette, segmented or not.

    Raises:
        ValueError: the palette contradicts itself, or is a supplemental one (colours beside grey values), which is not read.
    """
    if dataset.get("PixelPresentation") in ("MIXED", "COLOR"):
        raise ValueError("a supplemental palette")
    count, first, bits = _described(dataset[_ELEMENT.format("Red", "Descriptor")].value, dataset.get("PixelRepresentation") == 1)
    if _ELEMENT.format("Red", "Data") in dataset:
        planes = [_entries(dataset[_ELEMENT.format(name, "Data")], count, little_endian)[0] for name in _COLOURS]
        colours = np.stack(planes, axis=-1)
    else:
        colours = _unfolded(dataset, count, bits)
    return Table(np.divide(colours, np.float32(_white(colours, bits)), dtype=np.float32), first)


def _white(colours: NDArray[np.int64], bits: int) -> int:
    """The largest value that an entry can have.

    Many writers use another depth than they state, so the entries go first: colours of 8 bits are those with none above 255, or with
    nothing in any low byte.
    """
    largest = int(colours.max())
    if largest <= 255:
        return 255
    if largest < 1 << bits < 1 << 16:
        return (1 << bits) - 1
    return 0xFFFF if (colours & 0xFF).any() else 0xFF00


def _described(descriptor: Sequence[int], signed: bool) -> tuple[int, int, int]:
    """Number of entries, first value mapped, bits of an entry."""
    count, first, bits = (int(number) for number in descriptor)
    if not 8 <= bits <= 16:
        raise ValueError("entries of fewer than 8 or more than 16 bits")
    return (count & 0xFFFF) or 65536, first - 65536 if signed and first > 32767 else first, bits


def _entries(element: DataElement, count: int, little_endian: bool) -> tuple[NDArray[np.int64], bool]:
    """(count,) entries, a word each or packed two to a word with the first in the low byte; and whether they were packed."""
    if isinstance(element.value, bytes):
        order = "<" if little_endian or element.VR == "OB" else ">"
        words = np.frombuffer(element.value + b"\0" * (len(element.value) % 2), f"{order}u2").astype("<u2")
    else:
        words = np.atleast_1d(np.asarray(element.value, dtype="<u2"))
    packed = len(words) < count and len(words) == (count + 1) // 2
    entries = words.view(np.uint8) if packed else words
    if len(entries) < count:
        raise ValueError("fewer entries than stated")
    return entries[:count].astype(np.int64), packed


def _unfolded(dataset: Dataset, count: int, bits: int) -> NDArray[np.int64]:
    """The entries of a segmented palette (PS3.3 C.7.9.2), by pydicom."""
    if bits == 8 and count > 256:
        raise ValueError("a segmented palette whose positions pydicom cannot count")
    first = int(dataset[_ELEMENT.format("Red", "Descriptor")].value[1])
    return apply_color_lut(np.arange(first, first + count), dataset)[..., :3].astype(np.int64)
