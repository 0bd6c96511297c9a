"""The files of a store: shards that are written once, whole or not at all, and never changed."""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl import measurements
from medtl.imaging.fingerprints import Key
from medtl.imaging.settings import ImageSettings

FINAL = frozenset({"NOT_AN_IMAGE", "NO_PIXELS", "BAD_HEADER", "MULTI_FRAME", "NOT_FINITE", "CONSTANT"})
"""Verdicts on the bytes themselves; no later run would come to another."""

SHARD_ROWS = 1024
SHARD_BYTES = 256 * 2**20
"""A shard is gathered in memory, twice while it is written: large images make shards of fewer rows."""
_SHARD_SECONDS = 60.0
_STALE_SECONDS = 86400.0
_PARTIAL = ".partial"

Place = tuple[int, int]
"""Shard and row; (-1, -1) for an image that is known to be unusable."""


class Shelf:
    """All shards of one folder: finds images by key, takes new ones in.

    A shard is `<id>.npy` (its pixels) and `<id>.csv` (its measurements, `image` = SHA-256, so that no file name is kept); the CSV is
    renamed into place last and makes it count. What is cut, foreign or half there is passed over, so its images are decoded again.
    """

    def __init__(self, folder: Path, settings: ImageSettings):
        self.files: list[Path] = []
        self._folder = folder
        self._shape = (settings.size, settings.size, settings.channels)
        self._full = max(1, min(SHARD_ROWS, SHARD_BYTES // (settings.size**2 * settings.channels)))
        self._held: dict[Key, tuple[dict[str, object], Place]] = {}
        self._new: dict[Key, tuple[NDArray[np.uint8] | None, dict[str, object]]] = {}
        self._since = time.monotonic()
        _sweep(folder)
        for table in sorted(folder.glob("*.csv")):
            self._take_in(table)

    def get(self, key: Key) -> tuple[dict[str, object], Place] | None:
        """Measurements and place of an image, None where no shard holds it."""
        return self._held.get(key)

    def add(self, key: Key, pixels: NDArray[np.uint8] | None, measurement: dict[str, object]) -> bool:
        """Keep an image, or a final verdict on one; False where it is not kept. On disk when the shard is full, old, or closed."""
        if pixels is None and measurement["quarantine"] not in FINAL:
            return False
        self._new[key] = (pixels, measurement)
        if len(self._new) >= self._full or time.monotonic() - self._since > _SHARD_SECONDS:
            self.close()
        return True

    def close(self) -> None:
        """Write what was added since the last shard."""
        self._since = time.monotonic()
        if not self._new:
            return
        rows = [{**values, "image": key[0], "frame": key[1]} for key, (_, values) in sorted(self._new.items())]
        pixels = [image for _, (image, _) in sorted(self._new.items()) if image is not None]
        name = self._folder / uuid.uuid4().hex
        if pixels:
            with (file := name.with_suffix(".npy" + _PARTIAL)).open("wb") as opened:
                np.save(opened, np.stack(pixels), allow_pickle=False)
            _publish(file)
        table = name.with_suffix(".csv" + _PARTIAL)
        measurements.write(measurements.table(rows), table)
        self._take_in(_publish(table))
        self._new.clear()

    def _take_in(self, table: Path) -> None:
        try:
            rows = measurements.read(table)
            usable = (rows["quarantine"] == "").to_numpy()
            if usable.any():
                self._check(table.with_suffix(".npy"), int(usable.sum()))
        except Exception:  # whatever is wrong with a file of a cache: it is made again
            return
        places = np.where(usable, np.cumsum(usable) - 1, -1)
        shard = len(self.files)
        self.files.append(table.with_suffix(".npy"))
        for values, place in zip(_dictionaries(rows), places.tolist(), strict=True):
            key = (str(values["image"]), int(str(values["frame"])))
            self._held.setdefault(key, (values, (shard, place) if place >= 0 else (-1, -1)))

    def _check(self, file: Path, count: int) -> None:
        pixels = np.load(file, mmap_mode="r", allow_pickle=False)  # raises where the file is shorter than its header says
        if pixels.shape != (count, *self._shape) or pixels.dtype != np.uint8:
            raise ValueError("not the pixels of this table")


def _dictionaries(rows: pd.DataFrame) -> list[dict[str, object]]:
    columns = list(rows.columns)
    return [dict(zip(columns, values, strict=True)) for values in rows.itertuples(index=False, name=None)]


def _publish(partial: Path) -> Path:
    """Flush a finished file to the disk and give it its name."""
    final = partial.with_name(partial.name.removesuffix(_PARTIAL))
    with partial.open("rb") as opened:
        os.fsync(opened.fileno())
    os.replace(partial, final)
    folder = os.open(partial.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return final


def _sweep(folder: Path) -> None:
    """Remove what killed runs left half-written a day or more ago."""
    for partial in folder.glob("*" + _PARTIAL):
        try:
            if time.time() - partial.stat().st_mtime > _STALE_SECONDS:
                partial.unlink()
        except OSError:
            continue
