"""Outside data as a manifest gives them: columns called otherwise, labels spelt otherwise, images anywhere on this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd
from pydantic import ValidationError

from medtl.cohorts import CohortSettings
from medtl.cohorts.files import as_on_disk, inside_root
from medtl.cohorts.joining import read_cohorts
from medtl.cohorts.settings import SplitSettings
from medtl.cohorts.tables import read_table
from medtl.contracts import EXTERNAL, Task
from medtl.errors import MedtlError, did_you_mean, listed
from medtl.model.scope import FACTS
from medtl.records import KEY, SPELLING
from medtl.registry import parse_choice

COLUMNS = ("image", "frame", "label", "patient_id", "lesion_id", "study_id", "domain")
USUAL = (
    "age", "sex", "view", "laterality", "modality", "body_part", "site", "hospital", "device", "scanner", "localization", "dx_type", "date",
)  # fmt: skip
"""Columns that an audit takes along where a manifest has them."""


@dataclass(frozen=True)
class Outside:
    """One cohort to be judged; what `medtl.cohorts` asks of an experiment."""

    task: Task
    cohorts: tuple[CohortSettings, ...]
    keep: tuple[str, ...] = ()
    split: SplitSettings = field(default_factory=SplitSettings)
    seed: int = 0


@dataclass(frozen=True)
class Manifest:
    """`table`: of `read_cohorts`, with the manifest's domains; `root`: what its images are relative to; `notes`: counted remarks."""

    table: pd.DataFrame
    root: Path
    plan: Outside
    notes: list[str]


SUBGROUPS = tuple(name for name in USUAL if name != "date")
"""Those that an external validation compares the patients by."""


def read_manifest(file: Path, task: Task, column: Mapping[str, str], spellings: Mapping[str, str], further: Sequence[str] = ()) -> Manifest:
    """Read and check a manifest; what it says of the scope's facts (age, view …) is taken along, and of the columns `further`.

    Raises MedtlError for unknown columns or labels, missing images, repeated rows (listed).
    """
    needed = ("image", "label") if task.kind == "single" else ("image",)  # findings may have columns of their own
    opened = _opened(file, column, needed)
    return _read(opened, with_spellings(task, spellings), opened.further((*FACTS, *further)))


def read_teaching(file: Path, task: Task, column: Mapping[str, str], spellings: Mapping[str, str], further: Sequence[str] = ()) -> Manifest:
    """As :func:`read_manifest`, of images that are to teach: where the network learned spellings, the table keeps which of them a label is,
    by itself or by `spellings` (`{"MEL": "mel"}`); empty where it says the class alone and the class has several."""
    if task.learn == "classes":
        return read_manifest(file, task, column, spellings, further)
    opened, classes = _opened(file, column, ("image", "label")), task.class_of()
    alone = [name for name in task.names if name not in task.learned and classes.get(name) == name]
    finer = task.model_copy(update={"classes": {name: (name,) for name in (*task.learned, *alone)}, "positive": None})
    given = _read(opened, with_spellings(finer, spellings), opened.further((*FACTS, *further)))
    only = {name: task.classes[name][0] for name in alone if len(task.classes[name]) == 1}  # such a class says which
    said = given.table["label"].replace(only)
    table = given.table.assign(label=said.map(classes).fillna(""), **{SPELLING: said.where(said.isin(task.learned), "")})
    notes = [*given.notes]
    if few := int((said.isin(alone)).sum()):
        notes.append(f"{few:,} images have a label that says the class alone: it teaches the class, and not which of its kinds they are")
    return replace(given, table=table, plan=replace(given.plan, task=task), notes=notes)


def own_columns(files: Sequence[Path], column: Mapping[str, str]) -> list[dict[str, str]]:
    """Of several tables what the columns of each are called: as `column` says where the table has that name, else as medtl calls them.

    A name that no table has stays, so that reading the first refuses it.
    """
    tables = [set(read_table(file.absolute()).cells.columns) for file in files]
    nowhere = {given for given in column.values() if not any(given in own for own in tables)}
    return [{name: given for name, given in column.items() if given in own | nowhere or name not in own} for own in tables]


def read_unjudged(file: Path, column: Mapping[str, str], spellings: Mapping[str, str], keep: Sequence[str]) -> Manifest:
    """A manifest by itself, for an audit: its labels are the classes, its column `split` (if there) says who is trained on.

    keep: its further columns that are taken along, besides :data:`USUAL`. Raises MedtlError as :func:`read_manifest`.
    """
    opened = _opened(file, column)
    missing = [name for name in keep if name not in opened.cells.columns]
    if missing:
        raise MedtlError(f"--keep {missing[0]}: '{opened.file.name}' has no such column; its columns: {listed(opened.cells.columns)}")
    labels = sorted({label for label in opened.cells[opened.column("label")] if label and spellings.get(label) != "ignore"})
    classes = dict.fromkeys(spellings.get(label, label) for label in labels)
    if len(classes) < 2:
        raise MedtlError(f"'{opened.file.name}' has one class only ({listed(classes) or 'no label at all'}); an audit compares classes")
    try:
        task = Task(classes={name: (name,) for name in classes})
    except ValidationError as refused:
        wrong = listed(error["input"] for error in refused.errors())
        raise MedtlError(f"'{opened.file.name}': no class name: {wrong} (no '|', no ','); say --map LABEL=CLASS for them") from None
    kept = opened.further((*USUAL, *keep))
    split = SplitSettings(column="split") if "split" in opened.cells.columns else SplitSettings()
    return _read(opened, with_spellings(task, spellings), kept, split)


def read_unlabelled(file: Path, column: Mapping[str, str]) -> tuple[pd.DataFrame, Path, str]:
    """Which images a manifest names, and of whom: columns `image`, `frame`, `group_id`; what these are relative to; what a group is.

    No label is read. Groups are patients, else lesions, else studies, else each image by itself. Raises MedtlError as
    :func:`read_manifest`, and where an image lies outside what can be reached.
    """
    opened = _opened(file, column, ("image",))
    cells, root = opened.cells, opened.root
    folder = os.path.relpath(opened.file.parent, root)
    images = as_on_disk(root, [inside_root(root, folder, image) if image else None for image in cells[opened.column("image")]])
    if None in images:
        raise MedtlError(f"{file}: row {images.index(None) + 1} names no image")
    frame = opened.column("frame")
    frames = pd.to_numeric(cells[frame], errors="coerce").fillna(0).astype(int) if frame in cells.columns else 0
    unit = next((kind for kind in ("patient", "lesion", "study") if opened.column(f"{kind}_id") in cells.columns), "image")
    table = pd.DataFrame({"image": images, "frame": frames})
    own = table["image"] + "#" + table["frame"].astype(str)
    ids = own if unit == "image" else cells[opened.column(f"{unit}_id")].reset_index(drop=True)
    table["group_id"] = ids.where(ids != "", own)
    return table.drop_duplicates(KEY).sort_values(KEY, ignore_index=True), root, unit


@dataclass(frozen=True)
class _Opened:
    file: Path
    cells: pd.DataFrame
    columns: Mapping[str, str]
    root: Path

    def column(self, name: str) -> str:
        """What a manifest's column is called there."""
        return self.columns.get(name, name)

    def further(self, names: Sequence[str]) -> tuple[str, ...]:
        """Those of these columns that the manifest has beside the ones that medtl asks for."""
        taken = {self.column(name) for name in COLUMNS}
        return tuple(dict.fromkeys(name for name in names if name in self.cells.columns and name not in taken))


def _opened(file: Path, column: Mapping[str, str], asked: Sequence[str] = ("image", "label")) -> _Opened:
    unknown = [name for name in column if name not in COLUMNS]
    if unknown:
        raise MedtlError(
            f"--column {unknown[0]}=…: a manifest has no such column{did_you_mean(unknown[0], COLUMNS)}; columns: {listed(COLUMNS)}"
        )
    file = file.absolute()
    cells = read_table(file).cells
    missing = [f"{name}={given}" for name, given in column.items() if given not in cells.columns]
    if missing:
        raise MedtlError(f"--column {missing[0]}: '{file.name}' has no such column; its columns: {listed(cells.columns)}")
    needed = [name for name in asked if column.get(name, name) not in cells.columns]
    if needed:
        told = " ".join(f"--column {name}=…" for name in needed)
        raise MedtlError(
            f"'{file.name}' has no column {listed(needed)}; say what they are called there: {told}; its columns: {listed(cells.columns)}"
        )
    return _Opened(file, cells, column, _common_root(file.parent, cells[column.get("image", "image")]))


def _read(opened: _Opened, task: Task, keep: tuple[str, ...] = (), split: SplitSettings | None = None) -> Manifest:
    file, root, cells = opened.file, opened.root, opened.cells
    plan = Outside(task, (_cohort(file, root, opened.columns, cells),), keep, split or SplitSettings())
    source = read_cohorts(plan, root, every_class=False)
    domains = _domains(source.table, opened)
    return Manifest(source.table.assign(domain=domains), root, plan, source.notes)


def with_spellings(task: Task, spellings: Mapping[str, str]) -> Task:
    """The task with further spellings (`{"PNA": "pneumonia"}`), each of a class or as good as one that it has; `ignore` as a class leaves a
    label out. It learns its classes, whatever the model's own did: what is finer is not asked of outside labels. Raises MedtlError."""
    classes = {name: list(known) for name, known in task.classes.items()}
    ignored, known_as = list(task.ignore), task.class_of()
    for label, given in ((str(label), given) for label, given in spellings.items()):
        name = given if given == "ignore" or given in classes else known_as.get(given, given)
        if name != "ignore" and name not in classes:
            choices = [*classes, "ignore"]
            raise MedtlError(
                f"--map {label}={name}: the model has no class '{name}'{did_you_mean(name, choices)}; there are: {listed(choices)}"
            )
        for known in (*classes.values(), ignored):
            if label in known:
                known.remove(label)
        (ignored if name == "ignore" else classes[name]).append(label)
    spelled = {name: tuple(known) for name, known in classes.items()}
    return task.model_copy(update={"classes": spelled, "ignore": tuple(ignored), "learn": "classes"})


def _cohort(file: Path, root: Path, column: Mapping[str, str], cells: pd.DataFrame) -> CohortSettings:
    ids = {kind: column.get(f"{kind}_id", f"{kind}_id") for kind in ("patient", "lesion", "study")}
    frame = column.get("frame", "frame")
    cohort: CohortSettings = parse_choice(
        "cohorts.sources",
        {
            "name": "csv",
            "domain": EXTERNAL,
            "folder": Path(os.path.relpath(file.parent, root)).as_posix(),
            "table": file.name,
            "image": column.get("image", "image"),
            "label": column.get("label", "label"),
            "rows": "all",
            "unlisted": "exclude",
            **{kind: {"column": name} for kind, name in ids.items() if name in cells.columns},
            **({"frame": frame} if frame in cells.columns else {}),
        },
    )
    return cohort


def _common_root(folder: Path, images: pd.Series[str]) -> Path:
    """The manifest's folder, or the nearest one above it and all images: a manifest may point beside itself."""
    places = {os.path.dirname(os.path.normpath(folder / image.replace("\\", "/"))) for image in images if image}
    return Path(os.path.commonpath([str(folder), *places]))


def _domains(table: pd.DataFrame, opened: _Opened) -> pd.Series[str]:
    """(N,) what the manifest's column says of each image and frame."""
    cells, column, frame = opened.cells, opened.column("domain"), opened.column("frame")
    if column not in cells.columns:
        return table["domain"]
    folder = os.path.relpath(opened.file.parent, opened.root)
    images = as_on_disk(opened.root, [inside_root(opened.root, folder, image) for image in cells[opened.column("image")]])
    frames = pd.to_numeric(cells[frame], errors="coerce").fillna(0).astype(int) if frame in cells.columns else [0] * len(cells)
    given = dict(zip(zip(images, frames, strict=True), cells[column], strict=True))
    return pd.Series([given.get(key) or EXTERNAL for key in zip(table["image"], table["frame"], strict=True)], index=table.index, dtype=str)
