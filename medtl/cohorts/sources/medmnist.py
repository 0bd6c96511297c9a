"""A MedMNIST file: one .npz with `<part>_images` (N, H, W[, 3]) and `<part>_labels` (N, 1) for each of its parts.

Labels of several findings per image (`task.kind: multi`) are (N, L) of 0 and 1; a class is spelt as the number of its column, from 0.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.cohorts import CohortSettings
from medtl.cohorts.files import inside_root
from medtl.cohorts.findings import class_columns
from medtl.cohorts.given_splits import SPLIT_COLUMN
from medtl.cohorts.ids import find_ids
from medtl.cohorts.source_table import SourceTable, unusable
from medtl.contracts import EXCLUDED, TEST, TRAIN, VALIDATION, Task
from medtl.errors import did_you_mean, listed
from medtl.findings import PREFIX

_USUAL = {"train": TRAIN, "val": VALIDATION, "test": TEST}
TASKS = ("single", "multi")


class Settings(CohortSettings):
    """An image is written `<file>/<part>_images` with the row as its frame."""

    name: Literal["medmnist"] = "medmnist"
    file: str
    """The .npz file, relative to `folder`."""
    parts: dict[str, Literal["train", "validation", "test", "external", "excluded"]] | None = None
    """Part of the file → split, for `split: {column: split}`; parts not named are left out. Default: train, val, test as called."""


def build(settings: Settings, root: Path, wanted: Sequence[str], task: Task | None = None) -> SourceTable:
    """A row per image; the column `split` holds what `parts` says."""
    file = inside_root(root, settings.folder, settings.file)
    if file is None:
        return unusable(f"file: '{settings.file}' lies outside the data root")
    if not (root / file).is_file():
        return unusable(f"file: there is no file '{file}' in the data root {root} (--data says where the root is)")
    if not zipfile.is_zipfile(root / file):
        return unusable(f"file: '{file}' cannot be read: it is no .npz file (a zip of arrays, as numpy.savez writes it), or is torn")
    try:
        with (root / file).open("rb") as handle, np.load(handle, allow_pickle=False) as arrays:
            return _read(settings, root, file, arrays, task)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return unusable(f"file: '{file}' cannot be read as .npz arrays without pickles")


def _read(settings: Settings, root: Path, file: str, arrays: np.lib.npyio.NpzFile, task: Task | None) -> SourceTable:
    there = [name.removesuffix("_labels") for name in arrays.files if name.endswith("_labels")]
    there = [part for part in there if f"{part}_images" in arrays.files]
    parts: dict[str, str] = dict(settings.parts) if settings.parts else {part: _USUAL.get(part, EXCLUDED) for part in there}
    unknown = [part for part in parts if part not in there]
    if not there:
        held = listed(arrays.files) or "none"
        return unusable(f"file: '{file}' has no arrays PART_images and PART_labels, such as train_images, train_labels; it holds: {held}")
    if unknown:
        near = did_you_mean(unknown[0], there)
        return unusable(f"parts: '{file}' has no part {listed(unknown)}{near}; parts there: {listed(there)}")
    tables, mistakes = [], []
    for part, split in parts.items():
        labels = arrays[f"{part}_labels"]
        if task is None and labels.ndim == 2 and labels.shape[1] == 1:
            labels = labels[:, 0]
        if labels.ndim != (1 if task is None else 2) or labels.dtype.kind not in "iub":
            mistakes.append(f"'{file}': {part}_labels has shape {labels.shape} of {labels.dtype}; {_needed(labels, task)}")
            continue
        columns, wrong = _columns(labels, task)
        if wrong:
            return unusable(*wrong)
        if (images := _length(root / file, f"{part}_images")) != len(labels):
            mistakes.append(f"'{file}': {part}_images holds {images:,} images but {part}_labels {len(labels):,} labels")
        tables.append(_rows(f"{file}/{part}_images", columns, split))
    source = SourceTable(pd.concat(tables, ignore_index=True) if tables else unusable().table, mistakes=mistakes, offers=[SPLIT_COLUMN])
    left_out = [part for part in there if part not in parts]
    if left_out:
        source.notes.append(f"parts left out: {listed(left_out)}")
    find_ids(source, settings, root)
    return source


def _needed(labels: NDArray[Any], task: Task | None) -> str:
    if task is not None:
        return "a row of whole numbers per image is needed"
    several = "; several findings per image are for task: {kind: multi, classes: {NAME: [0], …}}" if labels.ndim == 2 else ""
    return f"one whole number per image is needed{several}"


def _length(file: Path, array: str) -> int:
    """First dimension of an array, from its header alone: image arrays may be larger than the memory."""
    with zipfile.ZipFile(file) as archive, archive.open(f"{array}.npy") as member:
        version = np.lib.format.read_magic(member)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape: tuple[int, ...] = read(member)[0]
        return shape[0] if shape else 0


def _columns(labels: NDArray[np.integer], task: Task | None) -> tuple[dict[str, NDArray[np.integer]], list[str]]:
    """(N,) labels as `spelling`, (N, L) as `y_<class>` for each class; and what is wrong."""
    if task is None:
        return {"spelling": labels}, []
    found, mistakes = class_columns(task, map(str, range(labels.shape[1])))
    return {PREFIX + name: labels[:, int(column)] for name, column in found.items()}, mistakes


def _rows(image: str, labels: dict[str, NDArray[np.integer]], split: str) -> pd.DataFrame:
    frames = np.arange(len(next(iter(labels.values()))))
    return pd.DataFrame(
        {
            "image": image,
            "frame": frames,
            **{column: numbers.astype(int).astype(str).astype(object) for column, numbers in labels.items()},
            "where": [f"{image}[{frame}]" for frame in frames],
            SPLIT_COLUMN: split,
        }
    )
