"""A ranking as a page of its own."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from markupsafe import Markup

from medtl.document.page import environment
from medtl.document.table import Table
from medtl.files import write_text
from medtl.ranking import text
from medtl.ranking.figures import foreseen, probes
from medtl.ranking.kept import CSV, FINDINGS_CSV, SCORES, Ranking
from medtl.report.figures.style import svg

FILE = "rank.html"
SIZES = 3
"""Columns at the end that a page has no room for: features and milliseconds."""


def write_page(ranking: Ranking, folder: Path) -> Path:
    """Write `rank.html` into `folder`; equal contents give equal bytes. Returns its path."""
    header, *rows = ([*cells[:-SIZES]] for cells in (text.header(ranking), *(text.row(each, ranking) for each in ranking.candidates)))
    note = ". ".join(
        part for part in (text.told_apart_said(ranking).capitalize(), f"Intervals, reasons, weights, sizes and seconds: {CSV}") if part
    )
    shown = Table("rank", "Candidates, best first", header, rows, pd.DataFrame(), note)
    own = (text.of_findings_header(ranking), text.of_findings_rows(ranking))
    note = f"Every score of every candidate for each finding: {FINDINGS_CSV}"
    of_findings = [Table("findings", "Findings, each by itself", *own, pd.DataFrame(), note)] if ranking.findings else []
    lacking = [
        f"{each.name}: no {SCORES[score]}, for {each.figures[score]['reason']}"
        for each in ranking.candidates
        for score in SCORES
        if each.figures[score].get("value") is None
    ]
    agreed = text.agreements_said(ranking) if ranking.tuned else []
    figures = [Markup(svg(probes(ranking), "probes"))]
    figures += [Markup(svg(foreseen(ranking), "foreseen"))] if ranking.agreements else []
    page = environment("medtl.ranking").get_template("rank.html.j2").render(
        ranking=ranking, table=shown, about=text.said_of_images(ranking), agreed=agreed, figures=figures, lacking=lacking,
        of_findings=of_findings,
        commands=list(zip(ranking.commands, ranking.expected_minutes, strict=True)),
    )  # fmt: skip
    write_text(folder / FILE, page)
    return folder / FILE
