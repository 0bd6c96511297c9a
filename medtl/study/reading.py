"""What a reading of a study gives: claims, each shown only where its interval supports it, tables, and curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from medtl.document.table import Table
from medtl.report.figures.style import Plot

NOT_SHOWN = "not shown"


@dataclass(frozen=True)
class Claim:
    """One sentence that a reader may take away, or that nothing may be said."""

    what: str
    """`labels saved by fine-tuned`"""
    shown: bool
    text: str
    """The finding with its interval; or why it is not shown."""
    figures: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.what}: {self.text}" if self.shown else f"{self.what}: {NOT_SHOWN} ({self.text})"


@dataclass(frozen=True)
class Reading:
    """`question`: what is answered. `notes`: what a reader has to know. `curves`: a row per point of the figure: `arm`, `labels`, `value`,
    `low`, `high`; empty where there is none. `plots`: further figures, each with its heading."""

    question: str
    claims: Sequence[Claim]
    tables: Sequence[Table]
    notes: Sequence[str]
    curves: pd.DataFrame
    plots: Sequence[tuple[str, Plot]] = ()
