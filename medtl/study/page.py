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
from medtl.study.trials import DONE, FAILED

FILE = "study.html"


def write_page(study: StudySettings, trials: pd.DataFrame, reading: Reading, folder: Path, synthetic: bool) -> Path:
    """Write `study.html` into `folder`; equal contents give equal bytes. Returns its path."""
    figure = Markup(svg(learning_curves(reading.curves), "curves")) if len(reading.curves) else None
    text = environment("medtl.study").get_template("study.html.j2").render(
        study=study,  reading=reading,
        figure=figure, trials=_trials(trials), failures=trials[trials["state"] == FAILED].to_dict("records"),
        done=int((trials["state"] == DONE).sum()), asked=len(trials), not_shown=NOT_SHOWN, synthetic=synthetic,
    )  # fmt: skip
    write_text(folder / FILE, text)
    return folder / FILE


def _trials(trials: pd.DataFrame) -> Table:
    rows = [
        [
            row.arm,
            f"{100 * row.fraction:g} %",
            str(row.seed),
            row.state,
            *(
                [f"{row.labels:,.0f}", number(row.validation), number(row.auroc), number(row.macro_f1), f"{row.cpu_seconds / 60:.1f}"]
                if row.state == DONE
                else [""] * 5
            ),
        ]
        for row in trials.itertuples()
    ]
    header = ["arm", "fraction", "seed", "state", "labels", "validation", "test AUROC", "macro-F1", "minutes of CPU"]
    return Table("trials", "Every trial", header, rows, trials, "All columns: trials.csv; each trial is a run in `trials/`.")
