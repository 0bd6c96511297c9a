"""The commands that judge models, and say it on paper."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medtl.cli.options import Column, Map, pairs
from medtl.cli.outcome import answers


@answers
def evaluate(
    target: Annotated[Path, typer.Argument(metavar="RUN_OR_MODEL", help="A run's folder, or a model package.")],
    manifest: Annotated[Path | None, typer.Argument(metavar="MANIFEST.csv", help="Outside data: a table with `image` and `label`.")] = None,
    column: Column = None,
    map_: Map = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where the results go.")] = None,
    data: Annotated[Path | None, typer.Option(metavar="DIR", help="Where a run's images are now, if they were moved.")] = None,
    allow_seen: Annotated[bool, typer.Option("--allow-seen", help="Judge on images that the model has learned from all the same.")] = False,
    by: Annotated[str | None, typer.Option(metavar="UNIT", help="Of a run: one answer per patient, lesion or study, too.")] = None,
    combine: Annotated[str, typer.Option(metavar="HOW", help="How --by makes it of its images' log-odds: mean or max.")] = "mean",
    stress: Annotated[bool, typer.Option("--stress", help="The same images cut, blurred, unmarked … too; probe the features.")] = False,
    split: Annotated[str, typer.Option(metavar="SPLIT", help="With --stress: validation, which costs no look.")] = "test",
) -> None:
    """Judge a run on its test images, or a model elsewhere."""
    from medtl.flows.evaluate import evaluate

    given, renamed = pairs("--column", column), pairs("--map", map_)
    evaluate(target, manifest, given, renamed, out, data=data, allow_seen=allow_seen, by=by, combine=combine, stress=stress, split=split)


@answers
def compare(
    runs: Annotated[
        list[Path], typer.Argument(metavar="REFERENCE CANDIDATE...", help="Runs, or results of `evaluate` on one outside set.")
    ],
    split: Annotated[str | None, typer.Option(metavar="SPLIT", help="validation (default), test once it was opened, or external.")] = None,
    measure: Annotated[str, typer.Option(metavar="FIGURE", help="What is judged by; name it before you look.")] = "auroc",
    margin: Annotated[float | None, typer.Option(metavar="M", help="How much worse still counts as not worse, such as 0.02.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where comparison.html, .json and .csv go.")] = None,
    like: Annotated[Path | None, typer.Option(metavar="RUN_OR_MODEL", help="Whose task it is, for results on outside data.")] = None,
) -> None:
    """Hold models against one of them on the same images.

    Better, not worse by a margin, or not shown: by one figure, named before the look."""
    from medtl.flows.compare import compare

    compare(runs, split, measure, margin, out, like)


@answers
def accept(
    file: Annotated[Path, typer.Argument(metavar="ACCEPTANCE", help="The lines that a model has to keep (.yaml).")],
    run: Annotated[Path | None, typer.Argument(metavar="RUN", help="An evaluated run, or results on outside data.")] = None,
    split: Annotated[str | None, typer.Option(metavar="SPLIT", help="test (default), external, or validation.")] = None,
    like: Annotated[Path | None, typer.Option(metavar="RUN_OR_MODEL", help="Whose task it is, for results on outside data.")] = None,
) -> None:
    """State what a model must show, before the look; then judge it.

    Each line is met, not met, or not decided by so few cases. Exit code 3 unless all are met."""
    from medtl.flows.accept import accept

    accept(file, run, split, like)


@answers
def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A finished run's folder.")],
    data: Annotated[Path | None, typer.Option(metavar="DIR", help="Where the run's images are now, if they were moved.")] = None,
) -> None:
    """Write a run's report again: report.html and report/*.csv.

    Training and evaluation write it themselves."""
    from medtl.flows.report import report

    print(f"report: {report(run, data)}")


@answers
def paper(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A finished run, or results of `evaluate` on outside data.")],
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where the kit goes; else RUN/paper.")] = None,
    like: Annotated[Path | None, typer.Option(metavar="RUN_OR_MODEL", help="Of outside results: the model that was judged.")] = None,
) -> None:
    """Write a manuscript's methods, tables and figures.

    With citations; CLAIM 2024 and TRIPOD+AI filled in as far as the run knows; as LaTeX, Word, SVG and TIFF."""
    from medtl.flows.paper import paper

    paper(run, out, like)
