"""`medtl predict`: a package answers for files, folders and zips; the table says for each image what, or why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from medtl import predictions
from medtl.errors import MedtlError
from medtl.files import check_place, write_atomically
from medtl.flows.run import model_folder
from medtl.memory import keep_freed_memory
from medtl.model.model import Model
from medtl.model.prevalence import elsewhere, metrics_of, move
from medtl.predictions import NO_ANSWER
from medtl.terminal import Line

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def predict(
    model: Path | str,
    paths: Sequence[Path | str] | Path | str,
    out: Path | str,
    prevalence: float | Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Answer for every image in `paths` and write the predictions table `out` (CSV).

    model: a package or a run. out: a new file, or an earlier predictions table, which is replaced; any other file is left alone.
    prevalence: where the model is used, of the positive class (or of every finding, or of some by name): `p_<class>` are then for it,
    decisions stay.
    Raises MedtlError: no model, a path that does not exist, `out` is something else, or cannot be written.
    """
    out = Path(out)
    _check_out(out)
    keep_freed_memory()
    loaded = Model.load(model_folder(model))
    places = [] if prevalence is None else elsewhere(loaded.package, metrics_of(loaded.folder), prevalence)
    line = Line()
    table = move(loaded.predict(paths, line.progress("images")), places)
    table["image"] = table["image"].map(harmless)
    write_atomically(out, lambda temporary: predictions.write(table, temporary))
    line.clear()
    moved = [sentence for place in places for sentence in place.sentences()]
    print("\n".join(filter(None, [*summary(table), loaded.package.unverified, *loaded.package.promised, *moved, f"table: {out}"])))
    return table


def harmless(name: str) -> str:
    """A file name that no spreadsheet takes for a formula, on one line, in valid UTF-8.

    >>> harmless("=cmd().png"), harmless("a/b.png"), harmless("a\\nb")
    ("'=cmd().png", 'a/b.png', 'a\\\\nb')
    """
    shown = "".join(letter if letter.isprintable() else letter.encode("unicode_escape", "backslashreplace").decode() for letter in name)
    return f"'{shown}" if name.startswith(_FORMULA) else shown


def summary(table: pd.DataFrame) -> list[str]:
    """Counts per answer, and per reason where there is none."""
    answered = table[table["decision"] != NO_ANSWER]
    counts = ", ".join(f"{name} {count:,}" for name, count in answered["predicted"].value_counts().items())
    texts = [
        f"{len(table):,} {'image' if len(table) == 1 else 'images'}: {counts or 'no answers'}"
        + (f", no answer {len(table) - len(answered):,}" if len(answered) < len(table) else "")
    ]
    reasons = table.loc[table["decision"] == NO_ANSWER, "reason"].value_counts().head(10)
    return [*texts, *(f"  {count:,} x {reason}" for reason, count in reasons.items())]


def _check_out(out: Path) -> None:
    check_place("--out", out, "predictions.csv")
    if not out.exists() or out.stat().st_size == 0:
        return
    with out.open("rb") as file:
        first = file.readline(65536).decode("utf-8", "replace")
    if not first.startswith(",".join(predictions.LEADING)):
        raise MedtlError(f"--out {out}: exists and is no predictions table of medtl, so it is left alone; choose another name")
