"""The files of a store: shards that are written once, whole or not at all, never changed, and verified before a row of them is used.

A shard is `<id>.npy`, uint8 (n, size, size, channels), and `<id>.rows`, a line of text for every image it knows:

    <sha256> <frame> <row, or -1 without pixels> <seal> <measurements as JSON>

No file name is kept. The seal is a CRC-32 of the store's key, the rest of the line and the pixels, so a flipped bit, a hole that a crash
left, and a file of another store are all told. Whatever does not fit is removed and its images are decoded again.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
import uuid
import zlib
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from medtl import measurements
from medtl.imaging.fingerprints import Key

FINAL = frozenset({"NOT_AN_IMAGE", "NO_PIXELS", "BAD_HEADER", "MULTI_FRAME", "NOT_FINITE", "CONSTANT"})
"""Verdicts on the bytes themselves; no later run would come to another."""

SHARD_BYTES = 512 * 2**20
SHARD_SECONDS = 60.0
"""A shard is closed when it is so large or so old: what a kill costs at most."""
_STALE_SECONDS = 86400.0
_TOGETHER = 256
_TABLE, _PIXELS, _PARTIAL = ".rows", ".npy", ".partial"

Place = tuple[int, int]
"""Shard and row; (-1, -1) for an image that is known to be unusable."""
Held = tuple[dict[str, object], Place]


@dataclass(frozen=True)
class Line:
    """What a shard says about one image."""

    key: Key
    row: int
    seal: str
    values: str

    @classmethod
    def parse(cls, text: str) -> Line:
        sha256, frame, row, seal, values = text.split(" ", 4)
        return cls((sha256, int(frame)), int(row), seal, values)

    @classmethod
    def sealed(cls, key: Key, row: int, measurement: dict[str, object], pixels: NDArray[np.uint8] | None, store: str) -> Line:
        values = json.dumps({name: None if value != value else value for name, value in measurement.items()}, separators=(",", ":"))
        return cls(key, row, _seal(store, key, row, values, pixels), values)

    def __str__(self) -> str:
        return f"{self.key[0]} {self.key[1]} {self.row} {self.seal} {self.values}\n"

    def holds(self, pixels: NDArray[np.uint8] | None, store: str) -> bool:
        """Whether line and pixels are what was sealed, in this store."""
        return self.seal == _seal(store, self.key, self.row, self.values, pixels)

    def measurement(self) -> dict[str, object]:
        """A measurements row without its key."""
        return measurements.row({name: value for name, value in json.loads(self.values).items() if value is not None})


def _seal(store: str, key: Key, row: int, values: str, pixels: NDArray[np.uint8] | None) -> str:
    text = zlib.crc32(f"{store} {key[0]} {key[1]} {row} {values}".encode())
    return f"{zlib.crc32(np.ascontiguousarray(pixels), text) if pixels is not None else text:08x}"


class Shelf:
    """All shards of one folder: finds images by key, takes new ones in."""

    def __init__(self, folder: Path, store: str, shape: tuple[int, int, int]):
        self.maps: list[NDArray[np.uint8]] = []
        """The pixels of every shard that holds something asked; they stay readable if its files are pruned meanwhile."""
        self.files: list[Path] = []
        self._folder, self._store, self._shape = folder, store, shape
        self._held: dict[Key, Held] = {}
        self._new: _Unfinished | None = None
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)

    def get(self, key: Key) -> Held | None:
        """Measurements and place of an image, None where no shard holds it (or :meth:`find` was not asked for it)."""
        return self._held.get(key)

    def find(self, wanted: Collection[Key]) -> None:
        """Look for images in all shards; what is found is verified, and a shard that is damaged is removed."""
        left = set(wanted) - set(self._held)
        for table in sorted(self._folder.glob("*" + _TABLE)):
            if not left:
                return
            self._take_in(table, left)
            left -= self._held.keys()

    def add(self, key: Key, pixels: NDArray[np.uint8] | None, measurement: dict[str, object]) -> bool:
        """Keep an image, or a final verdict on one; False where it is not kept. On disk when the shard is full, old, or closed."""
        if pixels is None and measurement["quarantine"] not in FINAL:
            return False
        if self._new is None:
            self._new = _Unfinished(self._folder, self._store, self._shape)
        self._new.add(key, pixels, measurement)
        if self._new.count * math.prod(self._shape) >= SHARD_BYTES or time.monotonic() - self._new.since > SHARD_SECONDS:
            self.close()
        return True

    def close(self) -> None:
        """Finish the shard in hand, if there is one."""
        unfinished, self._new = self._new, None
        if unfinished:
            self._take_in(unfinished.publish(), {line.key for line in unfinished.lines})

    def _take_in(self, table: Path, wanted: set[Key]) -> None:
        try:
            lines = [line for line in map(Line.parse, _lines(table)) if line.key in wanted]
            pixels = self._open(table) if any(line.row >= 0 for line in lines) else None
            _verify(lines, pixels, self._store)
        except Exception:  # whatever is wrong with a file of a cache (cut, foreign, gone this moment): it is made again
            for damaged in (table, table.with_suffix(_PIXELS)):
                damaged.unlink(missing_ok=True)
            return
        if lines:
            _touch(table)
            self._held.update(
                {line.key: (line.measurement(), (len(self.files), line.row) if line.row >= 0 else (-1, -1)) for line in lines}
            )
            self.files.append(table.with_suffix(_PIXELS))
            self.maps.append(np.empty((0, *self._shape), np.uint8) if pixels is None else pixels)

    def _open(self, table: Path) -> NDArray[np.uint8]:
        pixels = np.load(table.with_suffix(_PIXELS), mmap_mode="r", allow_pickle=False)  # raises where shorter than its header says
        if pixels.shape[1:] != self._shape or pixels.dtype != np.uint8:
            raise ValueError("not the pixels of this store")
        return pixels


class _Unfinished:
    """A shard that is being written: pixels go to disk as they come, so memory stays flat."""

    def __init__(self, folder: Path, store: str, shape: tuple[int, int, int]):
        self.lines: list[Line] = []
        self.count = 0
        self.since = time.monotonic()
        self._store, self._shape = store, shape
        self._name = folder / uuid.uuid4().hex
        self._pixels = self._name.with_suffix(_PIXELS + _PARTIAL).open("wb")
        self._write_header()

    def add(self, key: Key, pixels: NDArray[np.uint8] | None, measurement: dict[str, object]) -> None:
        row = -1
        if pixels is not None:
            row, self.count = self.count, self.count + 1
            self._write(pixels.tobytes())
        self.lines.append(Line.sealed(key, row, measurement, pixels, self._store))

    def publish(self) -> Path:
        """Give both files their names, the table last, since it makes the shard count."""
        self._pixels.seek(0)
        self._write_header()
        _publish(self._pixels)
        table = self._name.with_suffix(_TABLE + _PARTIAL).open("wb")
        table.write("".join(map(str, self.lines)).encode())
        return _publish(table)

    def _write_header(self) -> None:
        """numpy leaves room in it for the first side to grow, so that it can be written again."""
        header = {"descr": "|u1", "fortran_order": False, "shape": (self.count, *self._shape)}
        np.lib.format.write_array_header_1_0(self._pixels, header)

    def _write(self, data: bytes) -> None:
        try:
            self._pixels.write(data)
        except OSError:  # the disk is full: leave room
            with contextlib.suppress(OSError):
                self._pixels.close()
            Path(self._pixels.name).unlink(missing_ok=True)
            raise


def _lines(table: Path) -> Iterator[str]:
    text = table.read_text(encoding="utf-8")
    if not text.endswith("\n"):
        raise ValueError("cut")
    return iter(text[:-1].split("\n"))


def _verify(lines: list[Line], pixels: NDArray[np.uint8] | None, store: str) -> None:
    """Raise where a line or its pixels are not what was written. The CRC runs without Python's lock, so threads share the work."""

    def check(part: list[Line]) -> bool:
        return all(line.holds(pixels[line.row] if pixels is not None and line.row >= 0 else None, store) for line in part)

    with ThreadPoolExecutor(4) as pool:
        if not all(pool.map(check, [lines[start : start + _TOGETHER] for start in range(0, len(lines), _TOGETHER)])):
            raise ValueError("not what was written")


def _publish(partial: IO[bytes]) -> Path:
    """Flush a finished file to the disk and give it its name."""
    path = Path(partial.name)
    try:
        with partial:
            partial.flush()
            os.fsync(partial.fileno())
        final = path.with_name(path.name.removesuffix(_PARTIAL))
        os.replace(path, final)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return final


def _touch(table: Path) -> None:
    """Say that the shard was used just now; what was not for longest is pruned first."""
    for file in (table, table.with_suffix(_PIXELS)):
        with contextlib.suppress(OSError):
            os.utime(file)


def _sweep(folder: Path) -> None:
    """Remove what killed runs left half-written a day or more ago."""
    for partial in folder.glob("*" + _PARTIAL):
        try:
            if time.time() - partial.stat().st_mtime > _STALE_SECONDS:
                partial.unlink()
        except OSError:
            continue
