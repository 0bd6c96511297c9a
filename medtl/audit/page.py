"""The audit as a page with pictures, and as a section of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from medtl.audit.findings import SEVERITIES, Finding
from medtl.audit.kept import TABLES, Audit, table_name
from medtl.audit.places import places
from medtl.document.page import environment
from medtl.document.picture import Key, Picture
from medtl.document.table import Table
from medtl.errors import listed
from medtl.estimates import number
from medtl.files import write_text
from medtl.records import KEY

FILE = "audit.html"
WIDE, FEW = 8, 7
"""A table of more columns lies on its side if it has few rows."""
WORDS = {"grave": "grave", "notable": "notable", "note": "to know"}
MEANINGS = {
    "grave": "results cannot be believed as the images stand",
    "notable": "look at it before you believe results",
    "note": "facts to keep in mind; nothing is wrong with them",
}


@dataclass(frozen=True)
class Extent:
    """How much of each finding is shown; everything stands in the CSV files."""

    pairs: int
    images: int
    rows: int
    heading: str
    """The level of a finding's heading."""
    notes: bool = True
    """Whether findings that are only good to know are shown with their evidence."""


PAGE, SECTION = Extent(12, 12, 12, "h2"), Extent(2, 4, 5, "h4", notes=False)


@dataclass(frozen=True)
class Shown:
    """A finding with what of it is shown."""

    finding: Finding
    number: int
    pairs: Sequence[tuple[Key, Key]]
    images: Sequence[Key]
    table: Table | None
    more: str
    """What is left out, in words."""

    @property
    def anchor(self) -> str:
        return f"finding-{self.number}"


def shown_images(findings: Sequence[Finding], extent: Extent) -> list[Key]:
    """The images whose pictures are wanted, each once."""
    keys: dict[Key, None] = {}
    for finding in findings:
        if finding.severity == "note" and not extent.notes:
            continue
        for pair in finding.pairs[: extent.pairs]:
            keys |= dict.fromkeys(pair)
        keys |= dict.fromkeys(finding.images[: extent.images])
    return list(keys)


def write_page(audit: Audit, records: pd.DataFrame, pictures: Mapping[Key, Picture], settings: Sequence[str], folder: Path) -> Path:
    """Write `audit.html` into `folder`; equal contents give equal bytes. Returns its path.

    settings: what training takes as the remedy, `split.exclude=FILE` and the like; empty where there is none.
    """
    text = _rendered("audit.html.j2", audit, records, pictures, PAGE, settings=settings)
    write_text(folder / FILE, text)
    return folder / FILE


def section(audit: Audit, records: pd.DataFrame, pictures: Mapping[Key, Picture]) -> Markup:
    """The audit in short, for a report: every finding that is grave or notable, the others by their titles."""
    return Markup(_rendered("section.html.j2", audit, records, pictures, SECTION))


def summary(audit: Audit) -> str:
    """`2 grave, 1 notable, 4 good to know`, or that nothing was found."""
    counts = [f"{len(audit.of(severity))} {WORDS[severity]}" for severity in SEVERITIES if audit.of(severity)]
    return ", ".join(counts) or "none of the checks found anything"


def _rendered(template: str, audit: Audit, records: pd.DataFrame, pictures: Mapping[Key, Picture], extent: Extent, **further: Any) -> str:
    found = [_shown(number, finding, extent) for number, finding in enumerate(audit.findings, start=1)]
    return environment("medtl.audit").get_template(template).render(
        audit=audit, found=found, pictures=pictures, captions=_captions(records, {key for each in found for key in _keys(each)}),
        summary=summary(audit), words=WORDS, meanings=MEANINGS, level=extent.heading, joined=listed, **further,
    )  # fmt: skip


def _keys(shown: Shown) -> list[Key]:
    return [*shown.images, *(key for pair in shown.pairs for key in pair)]


def _captions(records: pd.DataFrame, wanted: set[Key]) -> dict[Key, list[str]]:
    """What the records say of an image: label, split or fold, domain where there are several."""
    several = records["domain"].nunique() > 1
    placed = places(records)
    told = {}
    for image, frame, label, place, domain in zip(*(records[c] for c in (*KEY, "label")), placed, records["domain"], strict=True):
        if (image, frame) in wanted:
            told[image, frame] = [label or "no label", place or "excluded", *([domain] if several else [])]
    return told


def _shown(number: int, finding: Finding, extent: Extent) -> Shown:
    rest = [
        f"{len(all_) - most:,} more {what}"
        for what, all_, most in (("pairs", finding.pairs, extent.pairs), ("images", finding.images, extent.images))
        if len(all_) > most
    ]
    return Shown(
        finding,
        number,
        finding.pairs[: extent.pairs],
        finding.images[: extent.images],
        _table(number, finding, extent.rows),
        " and ".join(rest),
    )


def _table(position: int, finding: Finding, most: int) -> Table | None:
    """The first rows of the evidence, without columns that say nothing."""
    if not len(finding.table):
        return None
    name = table_name(position, finding)
    head = finding.table.head(most)
    columns = [column for column in head.columns if not _says_nothing(head[column])]
    rows = [[_cell(value) for value in row] for row in head[columns].itertuples(index=False)]
    rest = len(finding.table) - len(head)
    note = f"{rest:,} more rows in " if rest else "Also in "
    header = [str(column).replace("_", " ") for column in columns]
    if len(header) > WIDE and len(rows) <= FEW and not finding.pairs:
        header, *rows = ([name, *cells] for name, *cells in zip(header, *rows, strict=True))
    return Table(name, "", header, rows, finding.table, note + f"{TABLES}/{name}.csv", prose=True)


def _says_nothing(column: pd.Series[Any]) -> bool:
    """Empty throughout, the frame where every file holds one image, the domain where there is one."""
    texts = column.astype(str)
    name = str(column.name).replace("other ", "").replace("other_", "")
    return bool((texts == "").all() or (name == "frame" and (texts == "0").all()) or (name == "domain" and texts.nunique() == 1))


def _cell(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return str(value or "")
    if isinstance(value, float):
        return "" if value != value else f"{value:,.0f}" if value.is_integer() else number(value) if abs(value) < 10 else f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, Integral) else str(value)
