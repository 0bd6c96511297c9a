"""Many images in one go, streamed: an archive is unpacked, read and answered a few images at a time, and nothing of it stays on disk.

What is kept, in memory and for one person alone, is a small picture of each and what the network saw, so that a row of the table can be
opened after its file is gone. Knows nothing of Gradio.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl import predictions
from medtl.app.desk import Desk, Facts, Verdict, judged, looked, maps_of
from medtl.app.page.held import Held, Upload
from medtl.explanation.saliency import saliency_of_every_class
from medtl.flows.predict import harmless
from medtl.imaging.decoding import decode_with_views
from medtl.imaging.inputs import Input, of_file
from medtl.imaging.settings import ImageSettings
from medtl.imaging.unpacking import BrokenArchive, members, npz_images
from medtl.imaging.viewing import View
from medtl.measurements import row as measurements_row
from medtl.model.model import Model
from medtl.predictions import NO_ANSWER

AT_ONCE = 16
"""Images that are unpacked, read and answered together."""
LONGEST = 512
"""Long side, in pixels, of the picture that is kept of each image."""
MOST_KEPT = 2_000
"""Images of which a picture is kept; the others are answered too, and cannot be opened."""
_QUALITY = 85


@dataclass(frozen=True)
class Row:
    """One image of a batch."""

    name: str
    """As the person calls it."""
    verdict: Verdict
    measurement: Mapping[str, Any]
    picture: bytes = field(default=b"", repr=False)
    """JPEG of at most :data:`LONGEST` pixels; empty where there is none."""
    pixels: bytes = field(default=b"", repr=False)
    """PNG of what the network saw."""

    @property
    def answered(self) -> bool:
        return self.verdict.decision != NO_ANSWER


@dataclass
class Batch:
    """The answers so far; of one person."""

    label: str
    given: Facts
    total: int
    rows: list[Row] = field(default_factory=list)
    tables: list[pd.DataFrame] = field(default_factory=list)

    def csv(self) -> str:
        """The predictions table as `medtl predict` writes it; no name in it is a formula."""
        table = pd.concat(self.tables, ignore_index=True)
        table["image"] = table["image"].map(harmless)
        known = predictions.columns(predictions.classes_of(table), predictions.of_findings(table))
        return str(table[known].to_csv(index=False, lineterminator="\n"))


def counted(uploads: Sequence[Upload]) -> int:
    """How many images there are to answer for, as far as names tell."""
    return sum(_held_by(each) for each in uploads)


def _held_by(upload: Upload) -> int:
    if upload.holds_many:
        return members(upload.file)
    if upload.file.suffix == ".npz":
        try:
            return max(1, sum(npz_images(upload.file).values()))
        except BrokenArchive:
            return 1
    return 1


def images(held: Held) -> Iterator[Input]:
    """All images of an upload, unpacked as they are asked for."""
    place = held.folder / "unpacked"
    place.mkdir(exist_ok=True)
    for upload in held.uploads:
        yield from of_file(upload.file, upload.name, place)


def answers(desk: Desk, label: str, held: Held, given: Facts) -> Iterator[Batch]:
    """The batch, after every few images; its files are removed as they are answered."""
    model = desk.model(label)
    batch = Batch(label, given, counted(held.uploads))
    source = images(held)
    chunks = iter(lambda: tuple(islice(source, AT_ONCE)), ())
    for inputs, (pixels, measurements, views) in _read_ahead(_read(chunk, model.image) for chunk in chunks):
        keys = [(each.image, each.frame) for each in inputs]
        table, verdicts = judged(model, keys, *looked(model, pixels), measurements, given)
        batch.tables.append(table)
        for each, seen, verdict, measurement, view in zip(inputs, pixels, verdicts, measurements, views, strict=True):
            kept = len(batch.rows) < MOST_KEPT
            batch.rows.append(_row(each, verdict, measurement, seen if kept else None, view if kept else None))
        _remove(inputs, held)
        batch.total = max(batch.total, len(batch.rows))
        yield batch
    batch.total = len(batch.rows)
    yield batch


Read = tuple[tuple[Input, ...], tuple[list[NDArray[np.uint8] | None], list[Mapping[str, Any]], list[View | None]]]


def _read(inputs: tuple[Input, ...], settings: ImageSettings) -> Read:
    there = [place for place, each in enumerate(inputs) if each.file is not None]
    pixels: list[NDArray[np.uint8] | None] = [None] * len(inputs)
    views: list[View | None] = [None] * len(inputs)
    measurements: list[Mapping[str, Any]] = [_refused(each.reason) for each in inputs]
    items = [(inputs[place].path, inputs[place].frame) for place in there]
    for (number, seen, measurement), view in decode_with_views(items, settings, LONGEST):
        place = there[number]
        pixels[place], measurements[place], views[place] = seen, measurement, view
    return inputs, (pixels, measurements, views)


def _refused(reason: str) -> Mapping[str, Any]:
    """Of a member that was not even unpacked; `reason` ends in its code."""
    words, _, code = reason.partition(" [")
    return measurements_row({"quarantine": code.rstrip("]"), "reason": words})


def _read_ahead(chunks: Iterable[Read]) -> Iterator[Read]:
    """The next few images are read while the network looks at the last ones."""
    source = iter(chunks)
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, source, None)
        while (read := coming.result()) is not None:
            coming = pool.submit(next, source, None)
            yield read


def _remove(inputs: Sequence[Input], held: Held) -> None:
    """What was unpacked for these images; a file that holds several stays until the end."""
    for each in inputs:
        if each.file is not None and each.file.parent != held.folder:
            each.file.unlink(missing_ok=True)


def _row(given: Input, verdict: Verdict, measurement: Mapping[str, Any], seen: NDArray[np.uint8] | None, view: View | None) -> Row:
    name = given.image + (f", image {given.frame + 1}" if given.member else "")
    if seen is None or view is None:
        return Row(name, verdict, measurement)
    picture, square = (cv2.cvtColor(each, cv2.COLOR_RGB2BGR) if each.shape[2] == 3 else each for each in (view.as_read(), seen))
    jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()
    return Row(name, verdict, measurement, jpeg, cv2.imencode(".png", square)[1].tobytes())


def opened(model: Model, row: Row) -> tuple[View | None, dict[str, NDArray[np.float32]]]:
    """A row's picture, and its saliency where it is answered."""
    if not row.picture:
        return None, {}
    stored = np.asarray(cv2.imdecode(np.frombuffer(row.picture, np.uint8), cv2.IMREAD_COLOR), np.uint8)
    grey = np.asarray(stored[..., 0]) if np.array_equal(stored[..., 0], stored[..., 2]) else np.ascontiguousarray(stored[..., ::-1])
    view = View(grey, np.arange(256, dtype=np.uint8), 0, 1, "", False, ())
    if not row.answered:
        return view, {}
    how = cv2.IMREAD_COLOR if model.image.channels == 3 else cv2.IMREAD_GRAYSCALE
    square = np.asarray(cv2.imdecode(np.frombuffer(row.pixels, np.uint8), how), np.uint8)
    seen = np.ascontiguousarray(square[..., ::-1]) if square.ndim == 3 else square[..., None]
    original = int(row.measurement["height"]), int(row.measurement["width"])
    return view, maps_of(model, saliency_of_every_class(model, seen[None])[0], original, grey.shape[:2])
