"""Which column of a person's table is which, and what its labels mean to the model: proposed as `medtl init` proposes, confirmed by the
person, and every mistake said in one sentence before anything is computed. Pure functions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from medtl.app.here.endings import by_ending, uncontested
from medtl.app.here.labelled import Labelled
from medtl.cohorts.findings import class_columns
from medtl.cohorts.proposals import Form, id_columns, is_healthy, label_column, matched, name_forms
from medtl.contracts import NONE, Task
from medtl.errors import MedtlError, listed
from medtl.findings import BETWEEN

FIELDS = {
    "image": "Image", "label": "Label", "patient_id": "Patient", "lesion_id": "Lesion", "study_id": "Study",
    "domain": "Hospital or site", "frame": "Image of a file that holds several",
}  # fmt: skip
"""Column of a manifest → how the page calls it."""
LEAVE_OUT = "ignore"
"""In place of a class: images with this label are left out."""
MOST_LABELS = 40
_DOMAIN = r"domain|hospital|institution|clinic|cent(re|er)"


@dataclass(frozen=True)
class Choice:
    """What a person confirms."""

    columns: Mapping[str, str]
    """Field → column; without those that the table does not have."""
    classes: Mapping[str, str] = field(default_factory=dict)
    """Label → class, :data:`LEAVE_OUT`, or empty: not said yet."""
    without_absent: bool = False
    """Rows whose image is not there are left out."""


def proposed(given: Labelled, task: Task, columns: Mapping[str, str] | None = None) -> Choice:
    """The columns by how many images they name and by what they are called; labels by their spelling.

    columns: what the person chose already; then only the labels are proposed.
    """
    if columns is None:
        columns = _columns(given, task)
    labels = labels_of(given, task, columns.get("label", ""))
    return Choice(columns, {label: meant(label, task) for label in labels} if len(labels) <= MOST_LABELS else {})


def _columns(given: Labelled, task: Task) -> dict[str, str]:
    cells = given.cells
    found = {}
    best = next(iter(matched(cells, _forms(given))), None)
    if best is not None:
        found["image"] = best.column
    named = [column for column in cells.columns if column.lower() == "label"]
    with suppress(MedtlError):  # none looks like it: the person says
        found["label"] = named[0] if named else label_column(cells, found.get("image", ""))[0]
    if task.kind == "multi" and not named and not class_columns(task, cells.columns)[1]:
        found.pop("label", None)  # each finding has its own
    taken = set(found.values())
    found |= {f"{kind}_id": column for kind, column in id_columns(cells.columns, taken).items()}
    for name, pattern in (("domain", _DOMAIN), ("frame", "frame")):
        column = next((each for each in cells.columns if each not in found.values() and re.fullmatch(pattern, each, re.IGNORECASE)), None)
        found |= {name: column} if column else {}
    return found


def _forms(given: Labelled) -> list[Form]:
    """By path, by name, or by how a path ends: folders that are dropped lose the first parts of theirs."""
    path, name = name_forms(Path("/"), given.place, list(given.images))
    return [path, name, Form("file_name", {image: image for image in given.images}, by_ending(given.images))]


def images_of(given: Labelled, column: str) -> pd.Series[str]:
    """(N,) of each row the image that it names, in the form that names most; empty where there is none."""
    cells = given.cells[column]
    *exact, ending = (cells.map(form.read).map(lambda cell, form=form: form.known.get(cell, "")) for form in _forms(given))
    return max([*exact, uncontested(cells, ending)], key=lambda names: (names != "").sum())


def labels_of(given: Labelled, task: Task, column: str) -> dict[str, int]:
    """Label → rows that have it, in the order of the alphabet; of several findings in a cell each by itself."""
    if column not in given.cells.columns:
        return {}
    cells = given.cells[column]
    parts = (part.strip() for cell in cells for part in (cell.split(BETWEEN) if task.kind == "multi" else [cell]))
    return dict(sorted(Counter(part for part in parts if part).items()))


def meant(label: str, task: Task) -> str:
    """The class that a label means: a spelling or the name of the class, also in other letters, or the only healthy one; else empty.

    Nothing is guessed by likeness: `abnormal` is like `normal`.
    """
    known = {name: name for name in task.names} | task.class_of()
    plain = re.sub(r"^([+-]?\d+)\.0+$", r"\1", label)
    if plain in task.ignore or (task.kind == "multi" and label == NONE):
        return LEAVE_OUT
    if plain in known:
        return known[plain]
    folded = {_folded(spelling): name for spelling, name in known.items()}
    if _folded(label) in folded:
        return folded[_folded(label)]
    healthy = [name for name in task.names if is_healthy(name)]
    return healthy[0] if is_healthy(label) and len(healthy) == 1 else ""


def _folded(text: str) -> str:
    return re.sub(r"[\W_]+", " ", text.casefold()).strip()


def wrong(given: Labelled, task: Task, choice: Choice) -> list[str]:
    """What the person has to mend before the model can be judged, a sentence each."""
    return [*_columns_wrong(given, task, choice)] or [*_rows_wrong(given, task, choice)]


def _columns_wrong(given: Labelled, task: Task, choice: Choice) -> Iterator[str]:
    if "image" not in choice.columns:
        yield f"Say which column of '{given.table}' names the images; its columns: {listed(given.cells.columns)}."
    if "label" not in choice.columns:
        if task.kind == "single":
            yield f"Say which column of '{given.table}' holds the label; its columns: {listed(given.cells.columns)}."
        else:
            yield from (
                f"Without a column of labels each finding needs its own: {sentence}."
                for sentence in class_columns(task, given.cells.columns)[1]
            )
    for column, count in Counter(choice.columns.values()).items():
        if count > 1:
            yield f"The column '{column}' is chosen {count} times; each can be one thing only."


def _rows_wrong(given: Labelled, task: Task, choice: Choice) -> Iterator[str]:
    images = images_of(given, choice.columns["image"])
    absent = given.cells.loc[images == "", choice.columns["image"]]
    if len(absent) == len(given.cells):
        yield (
            f"No row of '{given.table}' names one of the {len(given.images):,} images by '{choice.columns['image']}' "
            f"(such as '{absent.iloc[0]}'); choose another column, or hand the images over with the table."
        )
        return
    if len(absent) and not choice.without_absent:
        yield (
            f"{_counted(len(absent), 'row')} of {len(given.cells):,} {'has' if len(absent) == 1 else 'have'} no image among those handed "
            f"over (such as '{absent.iloc[0] or 'an empty cell'}'); hand over what is missing, or tick that such rows are left out."
        )
    if "label" in choice.columns:
        yield from _labels_wrong(given, task, choice, images)


def _labels_wrong(given: Labelled, task: Task, choice: Choice, images: pd.Series[str]) -> Iterator[str]:
    column = choice.columns["label"]
    labels = labels_of(given, task, column)
    if len(labels) > MOST_LABELS:
        yield f"The column '{column}' has {len(labels):,} different labels, at most {MOST_LABELS} are taken; choose another column."
        return
    unsaid = [label for label in labels if choice.classes.get(label, "") == ""]
    if unsaid:
        several = "these labels mean" if len(unsaid) > 1 else "the label means"
        yield f"Say what {several} to the model, or leave {'them' if len(unsaid) > 1 else 'it'} out: {listed(unsaid)}."
        return
    if task.kind == "single":
        there = given.cells.loc[images != "", column]
        found = Counter(name for name in map(choice.classes.get, there) if name and name != LEAVE_OUT)
        if not found:
            yield f"No image has a label of the model's classes ({listed(task.names)}); there is nothing to judge."
        elif len(found) == 1:
            ((only, count),) = found.items()
            apart = f"a model is judged by how it tells {listed(task.names)} apart"
            yield f"All {count:,} labelled images are '{only}'; {apart}, so images of another class are needed too."


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
