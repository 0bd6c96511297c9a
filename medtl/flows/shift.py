"""`medtl shift`: is the place that will use a model like the one whose images taught it? Asked of images alone, before any label there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.cohorts.files import list_images
from medtl.contracts import FORMAT
from medtl.document.table import write_csv
from medtl.errors import MedtlError
from medtl.evaluation.table import plural
from medtl.files import locked, write_json
from medtl.flows.judging import refuse_occupied
from medtl.flows.manifest import read_unlabelled
from medtl.flows.run import Run, load_run, model_folder
from medtl.flows.shift_images import looked, sample_of
from medtl.flows.shift_source import source_of
from medtl.imaging.cache import cache_dir
from medtl.imaging.store import Store, open_store
from medtl.model.model import Model
from medtl.model.seen import read_seen, truncated
from medtl.records import KEY
from medtl.shift import source as kept
from medtl.shift import text
from medtl.shift.draws import FEW
from medtl.shift.examine import Shift, examine
from medtl.shift.page import write_page
from medtl.shift.source import Source
from medtl.terminal import Line

FILE = "shift.json"


@dataclass(frozen=True)
class Shifted:
    """The folder of a comparison, and what it found; `shift` is None where only the package's memory was written."""

    folder: Path
    shift: Shift | None


def shift(
    target: Path | str,
    images: Path | str | None = None,
    column: Mapping[str, str] | None = None,
    out: Path | str | None = None,
    data: Path | str | None = None,
) -> Shifted:
    """Hold images of another place against a model's source, and write shift.json, shift.html and columns.csv. No label is read.

    target: a run or a model package. Of a run, what the package has to remember of its source is written into it first
    (`model/source.safetensors`), so that the package alone suffices elsewhere; without `images` that is all.
    images: a folder, or a manifest with `image` and, so that patients count once, `patient_id`. column: what a column is called there.
    out: default `shifts/<model>-<time>`. data: where a run's images are now, if they were moved.
    """
    line = Line()
    package = model_folder(target)
    folder = Path(out) if out is not None else None
    if folder is not None:
        refuse_occupied(folder)
    source = _source(Path(target), package, Path(data) if data else None, images is None, line)
    if images is None:
        line.clear()
        print(f"source: {package / kept.FILE}\nnext: medtl shift {package} FOLDER_OR_MANIFEST.csv   (images of another place)")
        return Shifted(package, None)
    model = Model.load(package)
    folder = folder or Path("shifts") / f"{model.package.name}-{datetime.now():%Y%m%d-%H%M%S}"
    refuse_occupied(folder)
    return _held_against(model, source, Path(images), dict(column or {}), folder, line)


def _source(target: Path, package: Path, data: Path | None, anew: bool, line: Line) -> Source:
    """As the package remembers it; a run that has not written it yet, or is to write it `anew`, does so."""
    model = Model.load(package)
    found = None if anew else kept.read(package, model.fingerprint)
    if found is not None:
        return found
    run = _run_of(target, package)
    if run is None:
        raise MedtlError(
            f"{package}: remembers nothing of its source (no {kept.FILE}); say `medtl shift RUN` where its run is, and copy it again"
        )
    found = source_of(run, data, line)
    with locked(target):
        kept.save(found, package)
    return kept.read(package, model.fingerprint) or found


def _run_of(target: Path, package: Path) -> Run | None:
    """The run (or the candidate of one) that `target` is; None for a package by itself."""
    if package == target:
        return None
    try:
        return load_run(target)
    except MedtlError:
        return None


def _held_against(model: Model, source: Source, images: Path, column: Mapping[str, str], folder: Path, line: Line) -> Shifted:
    table, root, unit = images_named(images, column)
    store = open_store(table[KEY], root, model.image, cache_dir(), line.progress("images"))
    positions = np.flatnonzero(store.usable)
    notes = _notes(model, store, positions, unit)
    if not len(positions):
        raise MedtlError(f"{images}: none of {len(table):,} images can be read")
    rows = table.iloc[positions].reset_index(drop=True)
    found = held_against(model, source, rows, store, positions, line)
    if found is None:
        there = rows["group_id"].nunique()
        counts = f"{there:,} {unit if there == 1 else plural(unit)} there, {source.sample.patients:,} of the source"
        raise MedtlError(f"{images}: too few to be held against the source: {counts}; at least {FEW} and {2 * FEW} are needed")
    known = _known_table(source)
    with locked(folder):
        write_json(folder / FILE, {**said(model, source, found, unit), "images": len(rows), "notes": notes})
        page = write_page(found, model.package.name, images.name, unit, notes, folder, known)
        write_csv(text.columns_table(found), folder / "columns.csv")
    line.clear()
    print("\n".join([*text.lines(found, unit), *notes, f"page: {page}"]))
    return Shifted(folder, found)


def held_against(model: Model, source: Source, rows: pd.DataFrame, store: Store, positions: NDArray[np.intp], line: Line) -> Shift | None:
    """Readable images at `positions`, with key and group in `rows` (labels are left out), against the source. None: too few."""
    own = rows[[*KEY, "group_id"]].reset_index(drop=True)
    logits, features = looked(model, store, positions, line.progress("target"))
    sample = sample_of(model, own, store, positions, logits, source.detector.coordinates(features))
    line.show("comparing …")
    return examine(source.sample, sample, source.classes, source.known, _names(source))


def said(model: Model, source: Source, found: Shift, unit: str) -> dict[str, Any]:
    """The content of shift.json."""
    return {
        "format": FORMAT, "model": model.package.name, "fingerprint": model.fingerprint, "unit": unit, **text.to_json(found),
        "known_shifts": _known_table(source).to_dict("records"),
    }  # fmt: skip


def images_named(images: Path, column: Mapping[str, str]) -> tuple[pd.DataFrame, Path, str]:
    """Key and group of each image, what they are relative to, and what a group is."""
    if not images.is_dir():
        return read_unlabelled(images, column)
    if column:
        raise MedtlError(f"--column says how a manifest is read, and {images} is a folder")
    found = list_images(images).images
    if not found:
        raise MedtlError(f"{images}: holds no images")
    return pd.DataFrame({"image": found, "frame": 0, "group_id": found}), images, "image"


def _notes(model: Model, store: Store, positions: NDArray[np.intp], unit: str) -> list[str]:
    notes = [f"{len(store) - len(positions):,} of {len(store):,} images could not be read"] if len(positions) < len(store) else []
    if unit == "image":
        notes.append("whose images these are is not known: each counts as a patient, which makes false alarms likelier")
    seen = read_seen(model.folder) or frozenset()
    own = sum(truncated(pixels) in seen for pixels in store.measurements["pixel_hash"].iloc[positions] if pixels)
    if own:
        notes.append(f"{own:,} of these images taught the model or chose it: it knows them, and no alarm means the less")
    return notes


def _names(source: Source) -> list[str]:
    assert source.sample.features is not None
    count = source.sample.features.shape[1]
    return [*(f"training direction {k + 1}" for k in range(count - 1)), "what no training direction shows"]


def _known_table(source: Source) -> pd.DataFrame:
    return pd.DataFrame(
        [{"shift": k.name, "squared MMD": round(k.distance, 4), "accuracy": round(k.truth, 4),
          **{f"by {method}": round(value, 4) for method, value in k.estimates.items()}} for k in source.known]
    )  # fmt: skip
