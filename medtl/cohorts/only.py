"""Which images of a cohort are taken (`only:`), by columns of its table, else by the facts of the DICOM headers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from medtl.cohorts import RANGES
from medtl.cohorts.headers import KEPT, facts_of_files
from medtl.cohorts.source_table import COLUMNS, SourceTable, counted
from medtl.errors import did_you_mean, listed

CODED = ("modality", "body_part", "view", "laterality", "sex")
"""Facts whose values may stand in a message; any other column might hold what is nobody's business."""


def add_header_facts(source: SourceTable, columns: Iterable[str], root: Path) -> None:
    """Fill the asked columns that are header facts: what the cohort's own table has, stays; empty cells are filled."""
    asked = [column for column in columns if column in KEPT and column not in COLUMNS]
    table = source.table
    lacking = [column for column in asked if column not in table.columns or (table[column] == "").any()]
    facts = facts_of_files(root, table["image"]) if lacking else None
    if facts is None:
        return
    for column in lacking:
        found = facts[column].set_axis(table.index)
        table[column] = table[column].where(table[column] != "", found) if column in table.columns else found
    source.offers += [column for column in KEPT if column not in source.offers]


def keep_only(source: SourceTable, only: Mapping[str, tuple[str, ...]]) -> None:
    """Leave out the rows that `only` (see :class:`medtl.cohorts.CohortSettings`) does not choose, counted column by column."""
    for column, allowed in only.items():
        if column not in source.table.columns:
            if not source.mistakes:
                source.mistakes.append(_no_column(column, source.offers))
            continue
        cells = source.table[column]
        chosen = _within(cells, allowed) if column in RANGES else cells.map(_plain).isin([_plain(value) for value in allowed])
        if not chosen.all():
            source.notes.append(f"{counted(int((~chosen).sum()), 'image')} left out by only.{column}{_values(column, cells[~chosen])}")
        if not chosen.any() and len(cells):
            source.mistakes.append(
                f"only.{column}: no image is left; none is {_said(column, allowed)}{_values(column, cells) or '; see the column itself'}"
            )
        source.table = source.table[chosen].copy()


def _within(cells: pd.Series[str], allowed: tuple[str, ...]) -> pd.Series[bool]:
    """Between two bounds, both included: numbers, or ISO dates, which sort as text."""
    low, high = allowed[0], allowed[1]
    try:
        bounds = float(low), float(high)
    except ValueError:
        return cells.str.fullmatch(r"\d{4}-\d{2}-\d{2}") & (cells >= low) & (cells <= high)
    return pd.to_numeric(cells, errors="coerce").between(*bounds)


def _plain(value: str) -> str:
    return value.strip().casefold()


def _values(column: str, cells: pd.Series[str]) -> str:
    """` (LATERAL 3, unknown 2)`; of a column that may hold anything only how many are unknown."""
    if column in CODED and cells.str.len().max() <= 16:
        counts = Counter(cells.replace("", "unknown"))
        return f" ({listed((f'{value} {count:,}' for value, count in counts.most_common()), most=8)})"
    unknown = int((cells == "").sum())
    return f" ({unknown:,} of them unknown)" if unknown else ""


def _said(column: str, allowed: tuple[str, ...]) -> str:
    return f"{allowed[0]} … {allowed[1]}" if column in RANGES else listed(value or "unknown" for value in allowed)


def _no_column(column: str, offers: list[str]) -> str:
    known = listed(sorted({*offers})) or "none"
    near = did_you_mean(column, {*offers, *KEPT})
    return f"only: neither the table nor the images' headers say '{column}'{near}; columns: {known}"
