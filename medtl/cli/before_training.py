"""The commands before a training: what is there, what it is worth, whether a config is right."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medtl.cli.options import Column, Config, Data, Map, Set, Weights, pairs, refuse_mistakes_early
from medtl.cli.outcome import answers


@answers
def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the images are.")],
    table: Annotated[Path | None, typer.Option(metavar="TABLE", help="The table of labels (.csv, .parquet, .xlsx).")] = None,
    out: Annotated[Path | None, typer.Option(metavar="CONFIG", help="The config file to write.")] = None,
) -> None:
    """Write a first, commented config for a folder of images.

    Reads file headers and the table of labels, and proposes columns by how many images they match."""
    from medtl.flows.init import init

    init(folder, table, out)


@answers
def check(
    config: Config,
    data: Data = None,
    weights: Weights = None,
    set_: Set = None,
    out: Annotated[Path | None, typer.Option(metavar="PNG", help="Write the first training batch here, as a picture.")] = None,
    rates: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Try learning rates from far too small to far too large, and draw the loss here.")
    ] = None,
) -> None:
    """Show what training would do, without training.

    Settings, images per class and split, device, expected minutes and GB, and the first batch."""
    refuse_mistakes_early(config, set_)
    from medtl.flows.check import check

    print(check(config, data, weights, set_ or (), out, rates))


@answers
def audit(
    target: Annotated[Path, typer.Argument(metavar="CONFIG_OR_MANIFEST", help="A config (.yaml), or a table with `image` and `label`.")],
    data: Data = None,
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Pretrained weights for the features that images are compared by.")
    ] = None,
    set_: Set = None,
    column: Column = None,
    map_: Map = None,
    keep: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="A further column of a manifest to look at: --keep ward.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where the page goes; else audits/<name>/<time>.")] = None,
) -> None:
    """Look for what makes results unbelievable, before training.

    Leaks, duplicates, shortcuts, confounders, wrong labels, broken images: a page, audit.json, and tables that mend the split."""
    from medtl.flows.audit import CONFIGS, audit

    if target.suffix.lower() in CONFIGS:
        refuse_mistakes_early(target, set_)
    audit(target, data, weights, set_ or (), pairs("--column", column), pairs("--map", map_), keep or (), out)


@answers
def labels(
    config: Config,
    domain: Annotated[
        str, typer.Option(metavar="DOMAIN", help="The cohort of the config whose labels are drawn, and whose test images judge.")
    ],
    data: Data = None,
    weights: Weights = None,
    set_: Set = None,
    count: Annotated[
        list[int] | None, typer.Option(metavar="N", help="So many labels; may be repeated. Default: 10, 25, 50, 100, 200.")
    ] = None,
    draws: Annotated[int, typer.Option(help="How often so many labels are drawn.")] = 30,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="A new folder for page and table; default runs/NAME/labels-TIME.")] = None,
) -> None:
    """Say what 10 to 200 labels of another place would bring.

    Curves from many draws on cached features, with and without another domain's labels, at random and well chosen. Opens the domain's
    test images, and counts the look."""
    from medtl.flows.label_curve import COUNTS, label_curve

    label_curve(config, domain, data, weights, set_ or (), count or COUNTS, draws, out)


@answers
def next_(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model package, or a run.")],
    images: Annotated[Path, typer.Argument(metavar="IMAGES", help="The other place: a folder, or a table with `image`, `patient_id`.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The table of images to label (CSV).")],
    count: Annotated[int, typer.Option(min=1, metavar="N", help="How many to label.")] = 25,
    column: Column = None,
    unsure: Annotated[bool, typer.Option("--unsure", help="Rather images that the model is unsure of.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the third that chance chooses.")] = 0,
) -> None:
    """Choose which images of another place to label next.

    A third at random, the others as different as can be."""
    from medtl.flows.next_labels import choose_next

    choose_next(model, images, out, count, pairs("--column", column), unsure, seed)


@answers
def rank(
    config: Config,
    data: Data = None,
    weights: Weights = None,
    set_: Set = None,
    candidates: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHAT", help="A network (resnet50), NAME=FILE, a weights file with sidecar, or a model package. May be repeated."
        ),
    ] = None,
    weights_folder: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Every weights file in it whose sidecar names its network, every model package.")
    ] = None,
    tune: Annotated[
        int | None, typer.Option(metavar="EPOCHS", min=1, help="Train every candidate so long, and see which score had been right.")
    ] = None,
    minutes: Annotated[float, typer.Option(metavar="M", min=0.0, help="What a training may take, for the advice.")] = 60.0,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where the ranking goes; else runs/<name>/rank-<time>.")] = None,
) -> None:
    """Say which weights to start from, and how, before training.

    LogME, LEEP, H-score, neighbours and a linear probe on features; distance; an advised strategy with reasons."""
    refuse_mistakes_early(config, set_)
    from medtl.flows.rank import rank

    rank(config, data, weights, set_ or (), candidates or (), weights_folder, tune, minutes, out)


@answers
def shift(
    target: Annotated[Path, typer.Argument(metavar="RUN_OR_MODEL", help="A run's folder, or a model package that remembers its source.")],
    images: Annotated[
        Path | None, typer.Argument(metavar="IMAGES", help="The other place: a folder, or a table with `image`, `patient_id`.")
    ] = None,
    column: Column = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where shift.html and shift.json go.")] = None,
    data: Annotated[Path | None, typer.Option(metavar="DIR", help="Where a run's images are now, if they were moved.")] = None,
) -> None:
    """Say whether another place's images are like the source's.

    Needs no label there. Without IMAGES: make a run's package ready for it."""
    from medtl.flows.shift import shift

    shift(target, images, pairs("--column", column), out, data)
