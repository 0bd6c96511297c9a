"""The commands that make models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medtl.cli.options import Column, Config, Data, Map, Set, Weights, pairs, refuse_mistakes_early
from medtl.cli.outcome import answers


@answers
def train(
    config: Config,
    data: Data = None,
    weights: Weights = None,
    set_: Set = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="The run's folder; else runs/<name>/<time>.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run (the newest, or --out).")] = False,
    expect: Annotated[
        Path | None, typer.Option(metavar="RUN", help="A finished run that this one must repeat; exit code 3 if it does not.")
    ] = None,
) -> None:
    """Train a model from one config.

    Never looks at the answers of the test images: `medtl evaluate` does, and counts it."""
    refuse_mistakes_early(config, set_)
    from medtl.flows.train import train

    train(config, data=data, weights=weights, overrides=set_ or (), out=out, resume=resume, expect=expect)


@answers
def study(
    file: Annotated[Path, typer.Argument(metavar="STUDY", help="The study's file (.yaml): a base config, arms or a search, seeds.")],
    data: Data = None,
    weights: Weights = None,
    set_: Set = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="The study's folder; else runs/studies/<name>.")] = None,
    workers: Annotated[int, typer.Option(metavar="N", min=1, help="So many trials at once, each with its share of the processors.")] = 1,
) -> None:
    """Train one config many times, varied, and read it together.

    What transfer was worth: labels, time and accuracy, each only if its interval supports it. The same command goes on."""
    from medtl.flows.study import study

    study(file, data, weights, set_ or (), out, workers)


@answers
def release(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run with `adaptation`.")],
    manifest: Annotated[Path, typer.Argument(metavar="MANIFEST.csv", help="Labelled target patients that nothing has used.")],
    column: Column = None,
    map_: Map = None,
) -> None:
    """Let labelled patients decide if an adapted model is used.

    Released if they show that it is not worse than source-only by the margin in the config; see release.json in the run."""
    from medtl.flows.later_release import release

    release(run, manifest, pairs("--column", column), pairs("--map", map_))


@answers
def update(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model package, or a run's folder. It is only read.")],
    manifest: Annotated[Path, typer.Argument(metavar="MANIFEST.csv", help="Newly labelled images: `image`, `label`, `patient_id`.")],
    reference: Annotated[
        Path, typer.Option(metavar="MANIFEST.csv", help="Labelled images that taught and chose nothing: no recall may fall on them.")
    ],
    replay: Annotated[
        Path | None,
        typer.Option(metavar="RUN|MANIFEST.csv", help="What taught the model, to be shown beside the new ones: its run, or a table."),
    ] = None,
    data: Annotated[Path | None, typer.Option(metavar="DIR", help="Where the replayed run's images are now, if they were moved.")] = None,
    column: Column = None,
    map_: Map = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="One setting (docs/update.md): --set epochs=3. May be repeated.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="A new folder; else runs/NAME/update-TIME.")] = None,
) -> None:
    """Train a model further on newly labelled images.

    Released only if it is better there and loses nothing elsewhere, else exit code 3; update.json has the evidence. Rolling back is
    choosing the older folder."""
    from medtl.flows.update import update

    update(model, manifest, reference, replay, pairs("--column", column), pairs("--map", map_), set_ or (), out, data)


@answers
def recalibrate(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model package, or a run's folder. It is only read.")],
    manifest: Annotated[Path, typer.Argument(metavar="MANIFEST.csv", help="Labelled images of the place of use, drawn at random.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="A new folder for recalibration.json and model/.")],
    column: Column = None,
    map_: Map = None,
    threshold: Annotated[
        str, typer.Option(metavar="HOW", help="moved: every answer stays what it was; refit: chosen anew, from 50 ill and 50 well on.")
    ] = "moved",
) -> None:
    """Make probabilities right where a model is used.

    From 10 to a few hundred labels there, without training. Released only if that is shown to better them, else exit code 3;
    recalibration.json has the evidence."""
    from medtl.flows.recalibrate import recalibrate

    recalibrate(model, manifest, out, pairs("--column", column), pairs("--map", map_), threshold)


@answers
def demo(
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Pretrained weights to start from; else the hub's, where it answers.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where all goes; else runs/demo/<time>.")] = None,
    serve: Annotated[bool, typer.Option(help="Open the page in the end.")] = True,
) -> None:
    """Show everything on made images, from nothing.

    Both tasks are trained, judged and reported, and the page opens. Needs no data, no weights and no network."""
    from medtl.flows.demo import demo

    runs = demo(weights, out)
    if serve:
        from medtl.app.serve import serve as serve_page

        serve_page([run.folder / "model" for run in runs])


@answers
def weights(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A network's plain name, such as mobilenetv2_100.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The .safetensors file to write; its sidecar goes beside it.")],
) -> None:
    """Fetch pretrained weights into a file.

    For machines that cannot reach the hub: carry the file there and give it as --weights."""
    from medtl.flows.weights import save_weights

    save_weights(name, out)
