"""What so many labels bring, as a page of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from medtl.document.page import environment
from medtl.document.table import Table, write_csv
from medtl.files import write_text
from medtl.report.figures.style import Plot, svg

FILE, CSV = "labels.html", "labels.csv"


def write_page(name: str, domain: str, lead: Sequence[str], table: Table, plot: Plot, notes: Sequence[str], folder: Path) -> Path:
    """Write `labels.html` and `labels.csv` into `folder`; equal contents give equal bytes. Returns the page's path."""
    text = environment("medtl.labelling").get_template("labels.html.j2").render(
        name=name, domain=domain, lead=lead, table=table, figure=Markup(svg(plot, "labels")), notes=notes
    )  # fmt: skip
    write_text(folder / FILE, text)
    write_csv(table.raw, folder / CSV)
    return folder / FILE
