"""The page: sections of a report put into one self-contained HTML file, and its tables as CSV beside it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from medtl import card
from medtl.contracts import VALIDATION
from medtl.document.page import environment
from medtl.document.table import Table, write_tables
from medtl.estimates import ONE_TRAINING
from medtl.evaluation.here_and_there import sentences as external_sentences
from medtl.files import write_text
from medtl.report import (
    acceptance,
    adaptation,
    answered,
    easy,
    frequencies,
    further,
    here_and_there,
    mistakes,
    population,
    reproduction,
    results,
    stress,
    summary,
    tiles,
    training,
)
from medtl.report import subgroups as parts_of
from medtl.report.contents import Contents
from medtl.report.figures import agreement, benefit, learning, ranking, selective
from medtl.report.figures.style import Plot, svg
from medtl.report.judged import judged_splits
from medtl.report.prevalence import at_prevalences
from medtl.report.subgroups_answered import answered_table

FILE, TABLES = "report.html", "report"
_FULL_WIDTH = 7.1
"""Inches: the width of the text on A4, to which figures are drawn true to scale."""


@dataclass(frozen=True)
class Drawing:
    """A figure as an element of the page, as wide as this share of the text."""

    svg: Markup
    percent: float
    label: str


@dataclass(frozen=True)
class SplitResults:
    """One split's part of the results."""

    name: str
    entry: dict[str, Any]
    chose: bool
    held_back: bool
    """Whether some images got no answer."""
    tables: list[Table]
    drawings: list[Drawing]
    parts: list[Table]
    """Further figures; of the split that the report leads with also subgroups and what is easy."""
    confusion: Table


def write_report(contents: Contents, folder: Path) -> Path:
    """Write `report.html` and `report/*.csv` into `folder`, each whole or not at all; what stood there of an earlier report is replaced.

    Returns the path of the page. Equal contents give equal bytes.
    """
    text, tables = page(contents)
    write_tables(tables, folder / TABLES)
    write_text(folder / FILE, text)
    return folder / FILE


def page(contents: Contents) -> tuple[str, list[Table]]:
    """The HTML, and every table that goes with it."""
    contents = answered.completed(contents)
    split = contents.split
    subgroups = parts_of.by_subgroup(contents, split)
    gaps = parts_of.gaps_table(subgroups, contents, split)
    told = [parts_of.parts_table(subgroups, contents, split), answered_table(subgroups, contents, split), gaps] if subgroups else []
    parts = [table for table in told if table is not None]
    flow = population.flow(contents)
    table_one, quarantine = population.table_one(contents), population.quarantine(contents)
    fits, curves = training.trainings_table(contents), training.curves_table(contents)
    splits = list(_results(contents, parts))
    under_stress = stress.section(contents)
    candidates = adaptation.candidates_table(contents.release) if contents.release else None
    beside = here_and_there.tables(contents.external) if contents.external else []
    found = frequencies.frequencies(answered.all_comers(contents), contents.task)
    text = environment("medtl.report").get_template("report.html.j2").render(
        contents=contents, card=card, summary=summary, tiles=tiles.tiles(contents), subgroups=subgroups, frequencies=found,
        squares=frequencies.squares(found),
        table_one=table_one, flow=flow, quarantine=quarantine, training=training, trainings=fits, curves=_curves(contents),
        splits=splits, worst=mistakes.worst(contents.predictions, contents.task, split), mistakes=mistakes,
        accepted=Markup(acceptance.section(contents.acceptance, contents.hashes.get("predictions.csv", ""))),
        one_training=ONE_TRAINING if len(contents.package["weights"]) == 1 else "",
        candidates=candidates, released=adaptation.sentences(contents.release) if contents.release else [],
        beside=beside, beside_told=external_sentences(contents.external) if contents.external else [],
        beside_summary=here_and_there.summary(contents.external) if contents.external else "",
        stress=under_stress, identity=reproduction.identity(contents), libraries=reproduction.libraries(contents),
    )  # fmt: skip
    optional = [
        table for table in (quarantine, fits, curves, candidates, *(under_stress.tables if under_stress else ())) if table is not None
    ]
    own = list({table.name: table for each in splits for table in (*each.tables, *each.parts, each.confusion)}.values())
    return text, [*table_one, population.flow_table(flow), *optional, *own, *beside, mistakes.mistakes_table(contents)]


def _results(contents: Contents, parts: list[Table]) -> Iterator[SplitResults]:
    """Every split, the weightiest first; subgroups stand in that one."""
    for name in judged_splits(contents.metrics):
        entry = contents.metrics["splits"][name]
        leads, confusion = name == contents.split, results.confusion_table(entry, name)
        shown = [results.headline(entry, name), results.per_class(entry, name), *further.by_unit(entry, name)]
        if results.of_findings(entry):
            shown.insert(2, confusion)
        simple = easy.easy(contents) if leads else None
        rarer = at_prevalences(entry, contents.task, name) if leads else []
        below = [*answered.tables(contents, name), *(parts if leads else ()), *rarer, *([simple] if simple else ())]
        below += further.further(entry, name)
        yield SplitResults(
            name, entry, name == VALIDATION, "all_comers" in answered.of(contents, name), shown, _drawings(contents, name), below, confusion
        )


def _drawings(contents: Contents, split: str) -> list[Drawing]:
    return [
        _drawing(plot, f"{split}-{label.lower().replace(' ', '-')}", f"{label}, {split}")
        for label, plot in plots_of(contents, split).items()
    ]


def plots_of(contents: Contents, split: str) -> dict[str, Plot]:
    """The figures of one judged split, by their names."""
    kinds: dict[str, Callable[..., Plot]] = {
        "ROC": ranking.roc,
        "Precision and recall": ranking.pr,
        "Calibration": agreement.calibration,
    }
    if contents.task.kind == "single":  # of several findings a table says it, a row for each
        kinds["Confusion matrix"] = agreement.confusion
    entry = contents.metrics["splits"][split]
    threshold = entry.get("threshold")
    if sum(entry["unread"].values()) < entry["n"]:
        kinds["Risk and coverage"] = functools.partial(selective.risk_coverage, threshold=threshold)
    if contents.task.positive_index is not None:
        kinds["Decision curve"] = functools.partial(benefit.decision_curve, threshold=threshold)
    return {label: draw(contents.predictions, contents.task, split) for label, draw in kinds.items()}


def _curves(contents: Contents) -> Drawing | None:
    logs = training.trainings(contents)
    return _drawing(learning.curves(logs), "curves", "Training curves") if logs else None


def _drawing(plot: Plot, name: str, label: str) -> Drawing:
    return Drawing(Markup(svg(plot, name)), min(100.0, round(100 * plot.get_figwidth() / _FULL_WIDTH, 2)), label)
