"""A table twice: as a page shows it, and as a CSV file for whoever calculates on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from medtl.files import write_atomically

_WIDEST = 105
"""Letters in a line of a table, as wide as A4 and the page on a screen."""
_WRAPPED = 20
"""Letters of the first column, which is wrapped where it is longer."""


@dataclass(frozen=True)
class Table:
    """`header` and `rows` are texts for people; `raw` is what stands in `<name>.csv`. In a row that is shorter than the header the
    last cell spans the rest."""

    name: str
    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    raw: pd.DataFrame
    note: str = ""
    prose: bool = False
    """Cells are words, not numbers: set to the left."""

    @property
    def wide(self) -> bool:
        """Whether it fits a page only with its intervals below their figures."""
        whole = [row for row in (self.header, *self.rows) if len(row) == len(self.header)]
        first, *others = [max(map(len, column)) for column in zip(*whole, strict=True)] or [0]
        return min(first, _WRAPPED) + sum(others) + 2 * len(others) > _WIDEST


def plain(name: str, caption: str, header: Sequence[str], rows: Sequence[Sequence[object]], note: str = "", prose: bool = False) -> Table:
    """A table whose CSV holds what the page shows."""
    texts = [[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row] for row in rows]
    return Table(name, caption, header, texts, pd.DataFrame(list(rows), columns=list(header)), note, prose)


def flat(figures: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Figures as columns of a CSV: `auroc`, `auroc_low`, `auroc_high`, `auroc_reason`."""
    columns: dict[str, Any] = {}
    for name, figure in figures.items():
        columns |= {name: figure.get("value"), f"{name}_low": figure.get("low"), f"{name}_high": figure.get("high")}
        columns[f"{name}_reason"] = figure.get("reason", "")
    return columns


def write_tables(tables: Iterable[Table], folder: Path) -> None:
    """Write `<name>.csv` of each table into `folder`; tables of an earlier page go."""
    for old in folder.glob("*.csv"):
        old.unlink(missing_ok=True)
    for table in tables:
        write_csv(table.raw, folder / f"{table.name}.csv")


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a table whole or not at all; equal tables are equal files."""
    write_atomically(path, lambda temporary: frame.to_csv(temporary, index=False, encoding="utf-8", lineterminator="\n"))
