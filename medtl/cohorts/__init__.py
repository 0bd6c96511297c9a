"""Cohorts: where images and labels come from. See `joining` for how several become one table.

Contract of a cohort file (`sources/folders.py`, `csv.py`, `medmnist.py`, `dicom.py`, `phantom.py`): `Settings` (a subclass of
`CohortSettings` with a literal `name`), `TASKS` (the kinds of task that it has labels for) and
`build(settings, root, wanted) -> SourceTable` (see `source_table`), where `wanted` are the further columns that the experiment asks for.
Where `"multi"` is among its `TASKS`, `build` takes a fourth argument, `task`: None, or the task whose findings are looked for (see
`findings`). What is wrong with the source comes back in `SourceTable.mistakes`, so that all cohorts' mistakes are told at once.
`joining` then does what is the same for all: facts of DICOM headers, `only`, `rows`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, field_validator, model_validator

from medtl.registry import Mistake, Settings, component, names, parse_choice, refuse


class IdSource(Settings):
    """Where an id comes from: `{column: patient_id}`, `{from: filename, pattern: '(person\\d+)'}`, `{from: path, pattern: '(person\\d+)/'}`
    or `{from: header}` (DICOM)."""

    column: str | None = None
    from_: Literal["filename", "path", "header"] | None = Field(default=None, alias="from")
    pattern: str | None = None
    """A regular expression searched in the file's name, or in its path below the cohort's `folder` (`NORMAL/person7/1.png`); its first
    group (or the whole match) is the id."""

    model_config = ConfigDict(populate_by_name=True)

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(f"is no regular expression: {error}") from None
        return pattern

    @model_validator(mode="after")
    def _one_source(self) -> IdSource:
        if (self.column is None) == (self.from_ is None):
            raise ValueError("needs either `column` or `from` (filename, path, header)")
        if (self.pattern is not None) != (self.from_ in ("filename", "path")):
            raise ValueError("`pattern` belongs to `from: filename` and `from: path`, and each of them needs one")
        return self


def _id_source(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


RANGES = ("age", "date")
"""Columns of `only` that are chosen by two bounds, both included; every other one by spellings."""


def _only(value: Any) -> Any:
    """`{view: PA}` is `{view: [PA]}`; nothing (`null`) is the empty cell, as in a table."""
    if not isinstance(value, dict):
        raise ValueError("is no choice of images; allowed: columns with what is taken, such as {view: [PA, AP], age: [18, 90]}")
    chosen = {str(column): given if isinstance(given, list | tuple) else [given] for column, given in value.items()}
    return {column: tuple("" if item is None else str(item) for item in given) for column, given in chosen.items()}


def _only_at_fault(only: dict[str, tuple[str, ...]]) -> Iterator[Mistake]:
    kinds: dict[str, tuple[Callable[[str], Any], str]] = {
        "age": (float, "[youngest, oldest] in years"),
        "date": (date.fromisoformat, "[first, last] as YYYY-MM-DD"),
    }
    for column, allowed in only.items():
        if not allowed:
            yield Mistake((column,), list(allowed), "is empty, so it would take nothing; give the spellings to take, or leave it out")
        if column in kinds:
            read, form = kinds[column]
            try:
                low, high = (read(bound) for bound in allowed)
                ordered = low <= high
            except ValueError:
                ordered = False
            if not ordered:
                yield Mistake((column,), list(allowed), f"is no range; allowed: {form}, both included")


class CohortSettings(Settings):
    """What every cohort has: images of one institution or population."""

    name: str
    domain: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = "default"
    """Which institution, device or population these images stand for."""
    folder: str = "."
    """Relative to the data root."""
    only: Annotated[dict[str, tuple[str, ...]], BeforeValidator(_only)] = Field(default_factory=dict)
    """Which images are taken, by columns of the table, else by facts of the DICOM header (view, modality, body_part, laterality, age, sex,
    device, site, date): `{view: [PA, AP], modality: [CR, DX], age: [18, 90]}`. Age and date are ranges; "" stands for unknown."""
    labels: Literal["given", "hidden"] = "given"
    """`hidden`: they are masked as soon as records are joined, and reach no training, choice or calibration: a target domain's (see
    `adaptation`), whose labels may then be missing or wrong. The images are split as all others."""
    issuer: str = ""
    """Who gave the patient ids. Cohorts with the same issuer share patients: equal ids are one person (the safe reading)."""
    patient: Annotated[IdSource | None, BeforeValidator(_id_source)] = None
    lesion: Annotated[IdSource | None, BeforeValidator(_id_source)] = None
    study: Annotated[IdSource | None, BeforeValidator(_id_source)] = None

    @field_validator("only")
    @classmethod
    def _choosable(cls, only: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        refuse([*_only_at_fault(only)])
        return only


def unfit(cohorts: Sequence[CohortSettings], kind: str) -> list[Mistake]:
    """Cohorts that cannot label a task of this `kind` (`single` or `multi`)."""
    serving = [name for name in names("cohorts.sources") if kind in component("cohorts.sources", name).TASKS]
    return [
        Mistake((place, "name"), cohort.name, f"has no labels for a task of kind {kind}; allowed there: {', '.join(serving)}")
        for place, cohort in enumerate(cohorts)
        if cohort.name not in serving
    ]


def parse_cohort(value: Any) -> Any:
    """`{name: csv, …}` → the settings of the chosen cohort file."""
    return parse_choice("cohorts.sources", value)
