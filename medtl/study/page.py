"""A study as a page of its own."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from markupsafe import Markup

from medtl.document.page import environment
from medtl.document.table import Table
from medtl.estimates import number
from medtl.files import write_text
from medtl.report.figures.style import svg
from medtl.study.figures import learning_curves
from medtl.study.reading import NOT_SHOWN, Reading
from medtl.study.settings import StudySettings
from medtl.study.trials import DONE, FAILED, WAITING, said

FILE = "study.html"


def write_page(study: StudySettings, trials: pd.DataFrame, reading: Reading, folder: Path, synthetic: bool) -> Path:
    """Write `study.html` into `folder`; equal contents give equal bytes. Returns its path."""
    figures = [("Learning curves", learning_curves(reading.curves))] if len(reading.curves) else []
    drawn = [(heading, Markup(svg(plot, f"plot-{place}"))) for place, (heading, plot) in enumerate((*figures, *reading.plots))]
    text = environment("medtl.study").get_template("study.html.j2").render(
        study=study,  reading=reading,
        figures=drawn, trials=_trials(trials, study.search is not None), failures=trials[trials["state"] == FAILED].to_dict("records"),
        done=int((trials["state"] == DONE).sum()), asked=len(trials), waiting=int((trials["state"] == WAITING).sum()),
        not_shown=NOT_SHOWN, said=said, synthetic=synthetic,
    )  # fmt: skip
    write_text(folder / FILE, text)
    return folder / FILE


def _trials(trials: pd.DataFrame, searched: bool) -> Table:
    rows = [
        [
            row.arm,
            *([said(row.settings), "" if pd.isna(row.fold) else str(int(row.fold))] if searched else [f"{100 * row.fraction:g} %"]),
            str(row.seed),
            row.state,
            "" if pd.isna(row.labels) else f"{row.labels:,.0f}",
            *("" if pd.isna(score) else number(score) for score in (row.validation, row.auroc, row.macro_f1)),
            "" if pd.isna(row.cpu_seconds) else f"{row.cpu_seconds / 60:.1f}",
        ]
        for row in trials.itertuples()
    ]
    varied = ["settings", "fold"] if searched else ["fraction"]
    header = ["arm", *varied, "seed", "state", "labels", "validation", "test AUROC", "macro-F1", "minutes of CPU"]
    return Table("trials", "Every trial", header, rows, trials, "All columns: trials.csv; each trial is a run in `trials/`.")
