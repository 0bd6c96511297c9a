"""What was found at a target, as a page of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from medtl.document.page import environment
from medtl.document.table import Table
from medtl.estimates import number
from medtl.evaluation.table import plural
from medtl.files import write_text
from medtl.report.figures.style import svg
from medtl.shift import text
from medtl.shift.examine import Shift
from medtl.shift.figures import columns_drawn

FILE = "shift.html"


def write_page(shift: Shift, model: str, target: str, unit: str, notes: list[str], folder: Path, known: pd.DataFrame) -> Path:
    """Write `shift.html` into `folder`; equal contents give equal bytes. Returns its path.

    known: a row per known shift, with what was guessed and what was true; may be empty.
    """
    tables = [
        _shown("signs", "Signs", text.signs_table(shift)),
        _shown("columns", "What was measured of the images", text.columns_table(shift)),
    ]
    page = environment("medtl.shift").get_template("shift.html.j2").render(
        shift=shift, model=model, target=target, unit=unit, units=plural(unit), notes=notes,
        tables=[table for table in tables if table.rows],
        known=_shown("known", "Guesses of the accuracy on known shifts of the source", known) if len(known) else None,
        figure=Markup(svg(columns_drawn(shift), "columns")) if shift.columns else None,
        looked_at=text.looked_at(shift), cause=text.cause(shift), prevalence=text.prevalence(shift),
    )  # fmt: skip
    write_text(folder / FILE, page)
    return folder / FILE


def _shown(name: str, caption: str, raw: pd.DataFrame) -> Table:
    rows = [[_cell(value) for value in row] for row in raw.itertuples(index=False)]
    return Table(name, caption, list(raw.columns), rows, raw)


def _cell(value: Any) -> str:
    return "" if value is None or value != value else number(value) if isinstance(value, float) else str(value)
