"""A comparison as a page of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from medtl.comparison import text
from medtl.comparison.comparison import Comparison
from medtl.comparison.figures import forest
from medtl.document.page import environment
from medtl.files import write_text
from medtl.report.figures.style import svg

FILE = "comparison.html"


def write_page(comparison: Comparison, split: str, notes: Sequence[str], folder: Path) -> Path:
    """Write `comparison.html` into `folder`; equal contents give equal bytes. Returns its path."""
    page = environment("medtl.comparison").get_template("comparison.html.j2").render(
        comparison=comparison, split=split, notes=notes, sentences=[text.sentence(comparison, each) for each in comparison.candidates],
        figure=Markup(svg(forest(comparison), "forest")), table=text.table(comparison),
    )  # fmt: skip
    write_text(folder / FILE, page)
    return folder / FILE
