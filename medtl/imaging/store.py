"""Preprocessed images on disk, memory-mapped, so that every image is decoded once for all runs with the same image settings.

`cache/store/<key>/` holds shards (:mod:`medtl.imaging.shards`). They are written under another name, flushed, then renamed, and never
changed: a kill costs at most the last minute, and concurrent runs cost at worst work done twice. Rows are found by SHA-256 and frame, not
by path, so moving or renaming a data set costs nothing. Every asked row is verified when the store is opened; what is damaged is decoded
again, never served. The cache is pruned to its size after each opening (:func:`medtl.imaging.cache.prune`).

What can never be read (no image, no pixels, a broken header, constant …) is remembered under its SHA-256 too, without pixels. What may
succeed another day (a crash, a time-out, a missing decoder, too large for the settings) is tried again by every run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl import measurements
from medtl.errors import ImageError, MedtlError
from medtl.imaging.cache import prune
from medtl.imaging.decoding import decode_many
from medtl.imaging.fingerprints import Key, fingerprints
from medtl.imaging.settings import ImageSettings
from medtl.imaging.shards import Shelf

VERSION = 7
"""Part of the key: raised whenever reading or preprocessing gives other pixels, so that old shards are left alone."""

Progress = Callable[[int, int], None]
"""Called with (done, total) of the images that had to be decoded."""

_SAME_PIXELS = ("largest_pixels", "timeout", "quarantine_share")
"""Settings that decide whether an image is used, never what it looks like; no part of the key."""


class Store:
    """The images of one table, by position in it."""

    def __init__(
        self, table: pd.DataFrame, ages: Sequence[object], shelf: Shelf, places: NDArray[np.int64], settings: ImageSettings, decoded: int
    ):
        self.measurements = table
        """One row per asked (image, frame), in the asked order; see :mod:`medtl.measurements`."""
        self.usable: NDArray[np.bool_] = (table["quarantine"] == "").to_numpy()
        """Which rows have pixels; the others say why in `quarantine` and `reason`."""
        self.ages: NDArray[np.object_] = np.array([str(age) for age in ages], object)
        """(N,) years as the headers say them, empty = not said: for the scope, and in no table."""
        self.key = _key(settings)
        """Names the preprocessing: equal keys and equal files are equal pixels."""
        self.decoded = decoded
        """How many images this opening had to decode (or try to)."""
        self.shape = (settings.size, settings.size, settings.channels)
        self._places = places
        self._files = shelf.files
        self._maps = shelf.maps

    def __len__(self) -> int:
        return len(self._places)

    def read(self, indices: Sequence[int] | NDArray[np.integer], out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """Images by position in the asked table.

        Arguments:
            indices: positions (B,), each usable.
            out: written into if given: uint8 (B, size, size, channels).
        Returns:
            uint8 (B, size, size, channels).
        Raises:
            ImageError: one of them is quarantined.
        """
        wanted = np.asarray(indices, dtype=np.int64)
        if not self.usable[wanted].all():
            row = self.measurements.iloc[int(wanted[~self.usable[wanted]][0])]
            raise ImageError(row["quarantine"], row["image"], row["reason"])
        images = np.empty((len(wanted), *self.shape), np.uint8) if out is None else out
        places = self._places[wanted]
        for shard in np.unique(places[:, 0]):
            here = np.flatnonzero(places[:, 0] == shard)
            images[here] = self._maps[shard][places[here, 1]]
        return images

    def __getstate__(self) -> dict[str, object]:
        """Travels to other processes without its maps."""
        return {**self.__dict__, "_maps": []}

    def __setstate__(self, state: dict[str, object]) -> None:
        """Opens the maps anew."""
        self.__dict__.update(state)
        try:
            self._maps = [np.load(file, mmap_mode="r", allow_pickle=False) for file in self._files]
        except OSError:
            raise MedtlError("preprocessed images were removed from the cache while they were handed on; run again") from None


def open_store(images: pd.DataFrame, root: Path, settings: ImageSettings, cache: Path, progress: Progress | None = None) -> Store:
    """The preprocessed images of a table; decodes what no shard holds, in parallel, and keeps it for the next time.

    Arguments:
        images: columns `image` (POSIX path relative to `root`; array members as `set.npz/train_images`) and `frame`.
        root: the data root.
        settings: what the preprocessing does; the fields that change pixels are part of the key.
        cache: folder for all stores, see :func:`medtl.imaging.cache.cache_dir`.
        progress: called with (done, total) while decoding.
    Raises:
        MedtlError: the cache cannot be written. Images never raise: they are quarantined.
    """
    try:
        return _open(images, root, settings, cache, progress)
    except OSError as error:
        raise MedtlError(
            f"the cache {cache} cannot be written ({error.strerror or type(error).__name__}): make room there, "
            "or name another folder in MEDTL_CACHE"
        ) from error


def _open(images: pd.DataFrame, root: Path, settings: ImageSettings, cache: Path, progress: Progress | None) -> Store:
    key = _key(settings)
    names = list(zip(images["image"], images["frame"].astype(int), strict=True))
    prints = list(fingerprints(names, root, settings.largest_pixels))
    shelf = Shelf(cache / "store" / key, key, (settings.size, settings.size, settings.channels))
    shelf.find({found.key for found in prints if found.sha256})
    missing = {found.key: number for number, found in enumerate(prints) if found.sha256 and shelf.get(found.key) is None}
    failed = _decode({key: names[number] for key, number in missing.items()}, root, settings, shelf, progress)
    rows, places = [], np.full((len(names), 2), -1, np.int64)
    for number, ((image, frame), found) in enumerate(zip(names, prints, strict=True)):
        held = shelf.get(found.key)
        if held is not None:
            values, places[number] = held
        elif found.sha256:
            values = failed[found.key]
        else:
            values = measurements.row({"quarantine": found.code, "reason": found.reason})
        rows.append({**values, "sha256": found.sha256, "bytes": found.bytes, "image": image, "frame": frame})
    prune(cache, shelf.files)
    return Store(measurements.table(rows), [row[measurements.AGE] for row in rows], shelf, places, settings, decoded=len(missing))


def _key(settings: ImageSettings) -> str:
    decisive = {"version": VERSION, "measured": [*measurements.COLUMNS, measurements.AGE], **settings.model_dump(exclude=set(_SAME_PIXELS))}
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]


def _decode(
    missing: Mapping[Key, tuple[str, int]], root: Path, settings: ImageSettings, shelf: Shelf, progress: Progress | None
) -> dict[Key, dict[str, object]]:
    """Decode onto the shelf; returns the measurements of those that failed and are not kept."""
    order = sorted(missing, key=lambda key: missing[key])  # by file, then frame: rows of an array are then read in one pass
    items = []
    for key in order:
        image, frame = missing[key]
        items.append((root / image, frame))
    failed: dict[Key, dict[str, object]] = {}
    if progress and order:
        progress(0, len(order))
    try:
        for done, (position, pixels, measurement) in enumerate(decode_many(items, settings), start=1):
            key = order[position]
            if pixels is not None and measurement["sha256"] != key[0]:
                pixels, measurement = (
                    None,
                    measurements.row({"quarantine": "DECODE_FAILED", "reason": "the file changed while it was read"}),
                )
            if not shelf.add(key, pixels, measurement):
                failed[key] = measurement
            if progress:
                progress(done, len(order))
    finally:
        shelf.close()  # what an interrupted run has decoded stays as well
    return failed
