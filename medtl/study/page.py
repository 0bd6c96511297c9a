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
from medtl.study.trials import DONE, FAILED, WAITING, in_columns, said, searched

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


def _trials(trials: pd.DataFrame, search: bool) -> Table:
    keys = searched(trials["settings"]) if search else {}
    nested = bool(trials["fold"].notna().any())
    rows = [
        [
            row.arm,
            *([] if search else [f"{100 * row.fraction:g} %"]),
            *in_columns(row.settings, keys),
            *([f"{row.fold:.0f}"] if nested else []),
            str(row.seed),
            row.state,
            *([] if search else [_written(row.labels, ",.0f")]),
            *(_written(score) for score in (row.validation, row.auroc, row.macro_f1)),
            _written(row.cpu_seconds / 60, ".1f"),
        ]
        for row in trials.itertuples()
    ]
    varied, labels = ([*keys, *(["fold"] if nested else [])], []) if search else (["fraction"], ["labels"])
    header = ["arm", *varied, "seed", "state", *labels, "validation", "test AUROC", "macro-F1", "minutes of CPU"]
    return Table("trials", "Every trial", header, rows, trials, "All columns: trials.csv; each trial is a run in `trials/`.")


def _written(value: float, form: str | None = None) -> str:
    """Empty where a trial did not come to it."""
    return "" if pd.isna(value) else number(value) if form is None else format(value, form)
