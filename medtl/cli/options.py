"""What several commands take, and how it is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from medtl.errors import MedtlError

Config = Annotated[Path, typer.Argument(metavar="CONFIG", help="The experiment's config file (.yaml).")]
Data = Annotated[Path | None, typer.Option(metavar="DIR", help="The data root that relative paths start from; else the config's folder.")]
Weights = Annotated[Path | None, typer.Option(metavar="FILE", help="Pretrained weights in place of `backbone.weights`.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Replace one setting: --set transfer.epochs=3. May be repeated.")
]
Column = Annotated[
    list[str] | None, typer.Option("--column", metavar="NAME=COLUMN", help="What a column is called there: --column label=dx.")
]
Map = Annotated[list[str] | None, typer.Option("--map", metavar="LABEL=CLASS", help="What a label means here: --map PNA=pneumonia.")]


def refuse_mistakes_early(config: Path, overrides: Sequence[str] | None) -> None:
    """Say what is wrong with a config before torch is imported, which takes many seconds on a cold disk."""
    from medtl.experiment.load import load_experiment

    load_experiment(config, overrides or ())


def prevalence_of(texts: Sequence[str] | None) -> float | dict[str, float] | None:
    """`["0.05"]` → 0.05, `["mass=0.05", "edema=0.1"]` → one of each finding."""
    if not texts:
        return None
    alone = len(texts) == 1 and "=" not in texts[0]
    given = {"": texts[0]} if alone else pairs("--prevalence", texts)
    try:
        shares = {name: float(text) for name, text in given.items()}
    except ValueError:
        raise MedtlError(f"--prevalence {', '.join(texts)}: is no number; allowed: more than 0 and less than 1, such as 0.05") from None
    return shares[""] if alone else shares


def pairs(option: str, texts: Sequence[str] | None) -> dict[str, str]:
    """`["label=dx"]` → `{"label": "dx"}`."""
    pairs: dict[str, str] = {}
    for text in texts or ():
        key, equals, value = text.partition("=")
        if not equals or not key or not value:
            raise MedtlError(f"{option} {text}: is no pair NAME=VALUE")
        if key in pairs:
            raise MedtlError(f"{option} {text}: '{key}' is given twice; keep one")
        pairs[key] = value
    return pairs
