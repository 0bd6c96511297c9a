"""Cohorts: where images and labels come from. See `joining` for how several become one table.

Contract of a cohort file (`sources/folders.py`, `csv.py`, `medmnist.py`, `dicom.py`, `phantom.py`): `Settings` (a subclass of
`CohortSettings` with a literal `name`) and `build(settings, root, wanted) -> SourceTable` (see `source_table`), where `wanted`
are the further columns that the experiment asks for. What is wrong with the source comes back in `SourceTable.mistakes`, so that
all cohorts' mistakes are told at once.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, field_validator, model_validator

from medtl.registry import Settings, parse_choice


class IdSource(Settings):
    """Where an id comes from: `{column: patient_id}`, `{from: filename, pattern: '(person\\d+)'}` or `{from: header}` (DICOM)."""

    column: str | None = None
    from_: Literal["filename", "header"] | None = Field(default=None, alias="from")
    pattern: str | None = None
    """A regular expression searched in the file's name; its first group (or the whole match) is the id."""

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
            raise ValueError("needs either `column` or `from` (filename, header)")
        if (self.pattern is not None) != (self.from_ == "filename"):
            raise ValueError("`pattern` belongs to `from: filename`")
        return self


def _id_source(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


class CohortSettings(Settings):
    """What every cohort has: images of one institution or population."""

    name: str
    domain: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = "default"
    """Which institution, device or population these images stand for."""
    folder: str = "."
    """Relative to the data root."""
    issuer: str = ""
    """Who gave the patient ids. Cohorts with the same issuer share patients: equal ids are one person (the safe reading)."""
    patient: Annotated[IdSource | None, BeforeValidator(_id_source)] = None
    lesion: Annotated[IdSource | None, BeforeValidator(_id_source)] = None
    study: Annotated[IdSource | None, BeforeValidator(_id_source)] = None


def parse_cohort(value: Any) -> Any:
    """`{name: csv, …}` → the settings of the chosen cohort file."""
    return parse_choice("cohorts.sources", value)
