"""What an audit says: one finding per fact about the data, with its evidence and, where one exists, its remedy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

Key = tuple[str, int]
"""(image, frame): the key that joins records, measurements and predictions."""

Severity = Literal["grave", "notable", "note"]
"""`grave`: results cannot be believed as they stand; `notable`: look at it before believing them; `note`: good to know."""
SEVERITIES: tuple[Severity, ...] = ("grave", "notable", "note")


@dataclass(frozen=True)
class Finding:
    """One fact about a cohort. `code` is stable: tests, `audit.json` and the exceptions that a config names refer to it."""

    code: str
    """Such as PATIENT_ACROSS_SPLITS, SAME_PIXELS, NEAR_DUPLICATE, TELLTALE_BYTES, RARE_CLASS; capitals and underscores."""
    severity: Severity
    title: str
    """One sentence with the numbers in it: "12 pairs of images are the same picture; 3 pairs stand in different splits"."""
    advice: str = ""
    """What it means for the results, and what to do."""
    table: pd.DataFrame = field(default_factory=pd.DataFrame)
    """The evidence, a row per image, pair or group; goes to a CSV and, its first rows, to the page."""
    figure: str = ""
    """An `<svg>` for the audit's own page; it is not kept in `audit.json`."""
    pairs: Sequence[tuple[Key, Key]] = ()
    """Images to be shown side by side, worst first."""
    images: Sequence[Key] = ()
    """Images to be shown, worst first."""
    exclude: Sequence[Key] = ()
    """Images whose exclusion mends it (rows of `exclude.csv`)."""
    join: Sequence[tuple[Key, Key]] = ()
    """Pairs that ought to share a group (rows of `groups.csv`)."""


def in_order(found: Sequence[Finding]) -> list[Finding]:
    """Grave before notable before note, and within these as they came."""
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))
