"""Everything that a report is made of. What is read from files, decoded or loaded was read before; a report is a pure function of this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from medtl import records
from medtl.contracts import Task
from medtl.document.picture import Key, Picture
from medtl.report.figures.learning import Log
from medtl.report.judged import judged_splits


@dataclass(frozen=True)
class Contents:
    """The tables and records of one run, or of one outside evaluation."""

    task: Task
    metrics: Mapping[str, Any]
    """Of metrics.json; it names the splits that the report is about."""
    predictions: pd.DataFrame
    records: pd.DataFrame
    package: Mapping[str, Any]
    """Of model.json."""
    measurements: pd.DataFrame | None = None
    experiment: Mapping[str, Any] = field(default_factory=dict)
    """The resolved settings; empty where only the package is known."""
    experiment_yaml: str = ""
    environment: Mapping[str, Any] = field(default_factory=dict)
    logs: Mapping[str, Log] = field(default_factory=dict)
    """Of the training (`""`), or of each fold (`"1"`, `"2"` …)."""
    hashes: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of the run's files, by name."""
    commands: Sequence[str] = ()
    """What makes all of this again."""
    looks: str = ""
    """What the installation's ledger says about the judged images, as a sentence."""
    baselines: Mapping[str, Any] = field(default_factory=dict)
    """Of baselines.json: split -> what stands beside the model's figures."""
    acceptance: Mapping[str, Any] | None = None
    """Of acceptance.json; None where no lines were judged."""
    pictures: Mapping[Key, Picture] = field(default_factory=dict)
    alone: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What is measured of the images besides the picture → the AUROC that it has alone, as an estimate."""
    audit: str = ""
    """The section about the audit of the images, as finished HTML (markupsafe); empty where there was none."""
    audit_summary: str = ""
    """`1 grave, 2 notable`."""
    release: Mapping[str, Any] | None = None
    """Of release.json; None where nothing was adapted."""
    external: Mapping[str, Any] | None = None
    """Of external.json: the outside figures held against the model's own; None where there is none."""
    stress: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Of stress.json, by split."""
    stress_pictures: Mapping[str, Picture] = field(default_factory=dict)
    """View → one image under it."""

    @property
    def split(self) -> str:
        """The split that the report leads with."""
        return judged_splits(self.metrics)[0]

    @property
    def entry(self) -> Mapping[str, Any]:
        """That split's figures."""
        found: Mapping[str, Any] = self.metrics["splits"][self.split]
        return found

    @property
    def kept(self) -> list[str]:
        """The further columns of records: age, sex, view …"""
        return records.kept_columns(self.records)

    @property
    def domains(self) -> list[str]:
        """Where the images come from, in order."""
        return sorted(self.records["domain"].unique())

    @property
    def groups_plural(self) -> str:
        """`patients`, `lesions`, `images`."""
        return groups_named(2, self.metrics["unit"]).split()[1]

    @property
    def over_folds(self) -> bool:
        """Whether the run is a cross-validation."""
        return bool((self.records["fold"] != "").any()) and bool((self.records["split"] == "").any())

    @property
    def synthetic(self) -> bool:
        """Whether images that were learned from, or are judged here, were made by a program: then nothing here holds for patients."""
        return bool(self.package.get("synthetic")) or any(name.startswith("synthetic") for name in self.domains)


def groups_named(count: int, unit: str) -> str:
    """`1 patient`, `314 patients`, `2 studies`."""
    plural = "studies" if unit == "study" else f"{unit}s"
    return f"{count:,} {unit if count == 1 else plural}"
