"""What a cohort file hands over: one row per image, everything still as the source spells it, and what was found on the way."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from medtl.errors import listed

ID_KINDS = ("patient", "study", "lesion")
COLUMNS = ["image", "frame", "spelling", "where", *ID_KINDS]


@dataclass
class SourceTable:
    """One cohort as found.

    `table` has a row per image with `image` (POSIX, relative to the data root), `frame` (int), `spelling` (the label as
    written, empty = unknown; of several findings per image see `findings`), `where` (for messages: a line of the label table, or the
    image), `patient`, `study`, `lesion` (raw ids, empty = unknown) and the further columns that were asked for and found. All but `frame`
    are strings. `notes` are counted remarks for the log and the report; `mistakes` are what makes the source unusable; `offers` are the
    further columns that could be asked for.
    """

    table: pd.DataFrame
    notes: list[str] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)
    offers: list[str] = field(default_factory=list)


def unusable(*mistakes: str) -> SourceTable:
    """A source so wrong that it has no rows to look at."""
    return SourceTable(pd.DataFrame(columns=COLUMNS), mistakes=list(mistakes))


def counted(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun.

    >>> counted(1, "row"), counted(1200, "row"), counted(2, "study", "studies")
    ('1 row', '1,200 rows', '2 studies')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def rows_listed(table: pd.DataFrame, most: int = 20) -> str:
    """Where the rows are, for a message: the first `most`, the rest counted."""
    return listed(table["where"], most)
