"""A first cohort, and what every way to one looks at: the headers of the images, and how counts are said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from medtl.cohorts.files import PICTURES
from medtl.cohorts.sources.dicom import read_headers
from medtl.errors import listed


@dataclass(frozen=True)
class Proposal:
    """A first cohort. `cohort`: its settings; `counts`: label → images, `by`: the unit of the split; `keep`: columns for records.

    `remarks`: setting → a comment for the config; `found`: lines that say what was found.
    """

    cohort: dict[str, Any]
    counts: dict[str, int]
    by: str
    keep: list[str] = field(default_factory=list)
    given_split: str | None = None
    remarks: dict[str, str] = field(default_factory=dict)
    found: list[str] = field(default_factory=list)


def read_headers_of(root: Path, images: Sequence[str]) -> pd.DataFrame | None:
    """The header facts of all images below `root`; None where no file can be DICOM by its name, so that none is opened."""
    if all(image.lower().endswith(PICTURES) for image in images):
        return None
    return read_headers(root, ".")[0]


def patients_of_headers(headers: pd.DataFrame | None) -> str | None:
    """How many images have a patient id in their DICOM header, as a sentence; None where none has, nor a study in its place."""
    if headers is None or not ((headers["patient_id"] != "") | (headers["study_instance_uid"] != "")).any():
        return None
    return f"{int((headers['patient_id'] != '').sum()):,} of {len(headers):,} images have a patient id in their DICOM header"


def said(counts: Mapping[str, int]) -> str:
    """Counts in a line.

    >>> said({"normal": 1200, "sick": 3})
    'normal 1,200, sick 3'
    """
    return listed(f"{name} {count:,}" for name, count in counts.items())
