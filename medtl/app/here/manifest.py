"""The manifest that the evaluation reads: images under neutral names, and of the person's table only the columns that are judged by.

No name that a person gave is written: tables and report are made of neutral names, and get the person's own back in memory
(:mod:`medtl.app.here.outcome`). They sort as the person's do, so that every figure is the one that `medtl evaluate` gives.
"""

from __future__ import annotations

import csv
import secrets
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from medtl.app.here.columns import Choice, images_of
from medtl.app.here.labelled import Labelled, Source
from medtl.cohorts.findings import class_columns
from medtl.contracts import Task
from medtl.errors import MedtlError
from medtl.flows.manifest import SUBGROUPS
from medtl.imaging.unpacking import BrokenArchive, zip_members
from medtl.model.scope import FACTS


@dataclass(frozen=True)
class Ready:
    """What the evaluation is run on."""

    file: Path
    token: str
    """What every neutral name begins with."""
    names: Mapping[str, str]
    """Neutral name → the person's."""
    notes: list[str] = field(default_factory=list)
    """What was left out, and why."""


def ready(given: Labelled, task: Task, choice: Choice, place: Path) -> Ready:
    """Unpack what the table names into `place`, and write `manifest.csv` there.

    Raises MedtlError where a zip does not give an image, and rows without one are not left out.
    """
    images = images_of(given, choice.columns["image"])
    wanted = sorted(set(images) - {""})
    token = secrets.token_hex(8)
    neutral = {name: f"{token}-{number:06d}" for number, name in enumerate(wanted)}
    refused = _laid_out({name: given.images[name] for name in wanted}, {name: place / each for name, each in neutral.items()}, place)
    if refused and not choice.without_absent:
        name, reason = next(iter(refused.items()))
        raise MedtlError(
            f"{len(refused):,} of {len(wanted):,} images cannot be taken out of the zip (such as '{name}': {reason}); "
            "tick that rows without an image are left out, or hand them over otherwise"
        )
    there = (images != "") & ~images.isin(list(refused))
    _write(place / "manifest.csv", given.cells[there], images[there].map(neutral), choice, task)
    written = given.cells.loc[there, choice.columns["image"]]
    return Ready(place / "manifest.csv", token, dict(zip(images[there].map(neutral), written, strict=True)), _notes(images, refused))


def _laid_out(sources: Mapping[str, Source], targets: Mapping[str, Path], place: Path) -> dict[str, str]:
    """Every image under its neutral name; name → reason for those that a zip does not give."""
    refused: dict[str, str] = {}
    packed: dict[Path, dict[str, str]] = defaultdict(dict)
    for name, source in sources.items():
        if source.member:
            packed[source.upload.file][source.member] = name
        else:
            targets[name].hardlink_to(source.upload.file)
    for archive, members in packed.items():
        missing = dict(members)
        try:
            for member in zip_members(archive, place, members.__contains__):
                name = missing.pop(member.name, "")
                if name and member.file is not None:
                    member.file.rename(targets[name])
                elif name:
                    refused[name] = member.reason.partition(" [")[0]
        except BrokenArchive as broken:
            raise MedtlError(f"the zip cannot be unpacked: {broken}") from None
        refused |= dict.fromkeys(missing.values(), "it is not there any more")
    return refused


def _write(file: Path, cells: pd.DataFrame, images: pd.Series[str], choice: Choice, task: Task) -> None:
    """Columns as `medtl evaluate` reads them: the standard ones by their names, and those that it compares patients by."""
    table = pd.DataFrame({"image": images})
    for name, column in choice.columns.items():
        if name != "image":
            table[name] = cells[column]
    taken = set(choice.columns.values())
    own = [] if "label" in choice.columns else list(class_columns(task, cells.columns)[0].values())
    for column in dict.fromkeys((*own, *FACTS, *SUBGROUPS)):
        if column in cells.columns and column not in taken and column not in table.columns:
            table[column] = cells[column]
    table.to_csv(file, index=False, quoting=csv.QUOTE_MINIMAL)


def _notes(images: pd.Series[str], refused: Mapping[str, str]) -> list[str]:
    absent, names = int((images == "").sum()), int(images.isin(list(refused)).sum())
    notes = [f"Rows without an image, left out: {absent:,}."] if absent else []
    return notes + ([f"Rows whose image the zip does not give, left out: {names:,}."] if names else [])
