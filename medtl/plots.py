"""The plots of a run, for notebooks: functions of its tables that return matplotlib Figures.

>>> from medtl import load_run, plots                                    # doctest: +SKIP
>>> run = load_run("runs/pneumonia/20260101-120000")                     # doctest: +SKIP
>>> plots.roc(run.predictions(), run.experiment.task)                    # doctest: +SKIP
>>> plots.curves(plots.read_log(run.folder / "log.jsonl"))               # doctest: +SKIP
"""

from __future__ import annotations

from medtl.report.figures.agreement import calibration, confusion
from medtl.report.figures.benefit import decision_curve
from medtl.report.figures.learning import curves, read_log
from medtl.report.figures.ranking import pr, roc
from medtl.report.figures.selective import risk_coverage
from medtl.shift.figures import columns_drawn as shifted_columns

__all__ = ["calibration", "confusion", "curves", "decision_curve", "pr", "read_log", "risk_coverage", "roc", "shifted_columns"]
