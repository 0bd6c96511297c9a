"""Made images (synthetic, so called everywhere) of one of two hospitals, with a known truth beside them. See `medtl.phantom`.

The files are made below the data root on first use, in a folder named after the settings; the truth is its `truth.csv`
(:func:`medtl.phantom.truth.read_truth`). Two hospitals in one experiment are two cohorts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import model_validator

from medtl.cohorts import CohortSettings
from medtl.cohorts.files import inside_root
from medtl.cohorts.source_table import SourceTable, unusable
from medtl.cohorts.sources import csv
from medtl.errors import MedtlError
from medtl.phantom.settings import PhantomSettings

TASKS = ("single",)


class Settings(CohortSettings, PhantomSettings):
    """`domain` is `synthetic-<hospital>` unless another name with `synthetic` is given; patients and lesions have ids."""

    name: Literal["phantom"] = "phantom"

    @model_validator(mode="before")
    @classmethod
    def _own_domain(cls, value: Any) -> Any:
        return {"domain": f"synthetic-{value.get('hospital', 'a')}"} | value if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _called_synthetic(self) -> Settings:
        if "synthetic" not in self.domain:
            raise ValueError(f"the domain '{self.domain}' holds made images: its name must have 'synthetic' in it")
        return self

    def phantom(self) -> PhantomSettings:
        """What the images depend on."""
        return PhantomSettings(**{name: getattr(self, name) for name in PhantomSettings.model_fields})


def build(settings: Settings, root: Path, wanted: Sequence[str]) -> SourceTable:
    """A row per made image, as a csv cohort gives them; `wanted` may be age, sex, view, split, hospital."""
    from medtl.phantom.making import MANIFEST, materialise  # image libraries, which reading a config needs not

    place = inside_root(root, ".", settings.folder)
    if place is None:
        return unusable(f"folder: '{settings.folder}' lies outside the data root")
    if not (root / place).is_dir():
        return unusable(f"folder: there is no folder '{settings.folder}' in the data root {root} (--data says where the root is)")
    try:
        folder = materialise(settings.phantom(), root / place)
    except MedtlError as refusal:
        return unusable(str(refusal))
    shared = {name: getattr(settings, name) for name in CohortSettings.model_fields if name not in ("name", "folder")}
    inside = PurePosixPath(place) / folder.name
    source = csv.build(csv.Settings(**shared, folder=str(inside), table=MANIFEST), root, wanted)
    source.notes.insert(0, "synthetic images, made by medtl: no figure on them says how well anything works on patients")
    return source
