"""`medtl compare`: runs, or evaluations of one outside set, against a reference on the same images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from medtl import predictions
from medtl.comparison import comparison, text
from medtl.comparison.comparison import Comparison
from medtl.comparison.page import write_page
from medtl.contracts import EXTERNAL, FORMAT, TEST, VALIDATION, Task
from medtl.document.table import write_tables
from medtl.errors import MedtlError, listed
from medtl.files import write_json
from medtl.flows.judging import refuse_occupied
from medtl.flows.run import EXPERIMENT, load_run
from medtl.report.judged import judged
from medtl.terminal import Line


@dataclass(frozen=True)
class Side:
    """One run or evaluation."""

    folder: Path
    table: pd.DataFrame
    task: Task | None
    """None of an evaluation on outside data, which does not say."""


def compare(
    folders: Sequence[Path],
    split: str | None = None,
    measure: str = "auroc",
    margin: float | None = None,
    out: Path | None = None,
    like: Path | None = None,
) -> Comparison:
    """The first of `folders` is the reference.

    split: by default `validation`, and `external` where evaluations of outside data are given. measure, margin: see
    :func:`medtl.comparison.comparison.compare`. like: a run or model whose task is that of evaluations on outside data. out: where
    `comparison.html`, `.json` and `.csv` go; by default nothing is written. Raises MedtlError where tasks, images, truths or groups
    differ.
    """
    if out is not None:
        refuse_occupied(out)
    if margin is not None and not 0 < margin < 0.5:
        raise MedtlError(f"--margin {margin:g}: is no margin; allowed: above 0, below 0.5 (0.02 is what one would overlook)")
    sides = [_side(folder) for folder in folders]
    task = _task(sides, like)
    chosen = split or (EXTERNAL if any(side.task is None for side in sides) else VALIDATION)
    names = _names([side.folder for side in sides])
    tables = {name: _judged(side, chosen) for name, side in zip(names, sides, strict=True)}
    found = comparison.compare(tables, task, measure, margin)
    line, notes = Line(), _notes(chosen, margin, len(sides))
    line.keep(f"{chosen}: {found.images:,} images of {found.groups:,} groups; reference: {found.reference}")
    for said in (*(text.sentence(found, each) for each in found.candidates), *notes):
        line.keep(said)
    if out is not None:
        _write(found, chosen, notes, out)
        line.keep(f"comparison: {write_page(found, chosen, notes, out)}")
    return found


def _side(folder: Path) -> Side:
    if (folder / EXPERIMENT).is_file() or not (folder / "predictions.csv").is_file():
        run = load_run(folder)
        return Side(folder, run.predictions(), run.experiment.task)
    return Side(folder, predictions.read(folder / "predictions.csv"), None)


def _task(sides: Sequence[Side], like: Path | None) -> Task:
    """The one task of all."""
    told = {str(side.folder): side.task for side in sides if side.task is not None}
    if like is not None:
        from medtl.flows.run import model_folder
        from medtl.model import format as package_format

        told[str(like)] = package_format.read(model_folder(like)).task
    if not told:
        raise MedtlError("evaluations on outside data do not say their task; name one of the models, or its run, with --like")
    (where, task), *others = told.items()
    for elsewhere, other in others:
        if (other.names, other.positive, other.kind) != (task.names, task.positive, task.kind):
            raise MedtlError(f"{where} and {elsewhere} have different tasks ({listed(task.names)} and {listed(other.names)})")
    return task


def _judged(side: Side, split: str) -> pd.DataFrame:
    if split == TEST and not (side.table["split"] == TEST).any():
        raise MedtlError(f"{side.folder}: its test images were not opened yet; open them first: medtl evaluate {side.folder}")
    try:
        return judged(side.table, split)
    except MedtlError as refusal:
        raise MedtlError(f"{side.folder}: {refusal}") from None


def _names(folders: Sequence[Path]) -> list[str]:
    """The last parts of the paths, as few as tell all apart."""
    resolved = [folder.resolve() for folder in folders]
    if len(set(resolved)) < len(resolved):
        raise MedtlError("a folder is named twice; a model cannot be compared with itself")
    for parts in range(1, max(len(path.parts) for path in resolved) + 1):
        names = ["/".join(path.parts[-parts:]) for path in resolved]
        if len(set(names)) == len(names):
            return names
    raise AssertionError("different paths have different names")


def _notes(split: str, margin: float | None, sides: int) -> list[str]:
    notes = ["Intervals speak of these patients, not of training luck: one training of each was judged (medtl study repeats them)."]
    if split == VALIDATION:
        notes.append("Validation chose epochs and thresholds of all, so it is no proof; `--split test` compares what was opened.")
    if split == TEST:
        notes.append("Comparing many models on one test set makes the best of them look better than it is.")
    if margin is None:
        notes.append("No margin was stated, so nothing can be called not worse (`--margin 0.02`, chosen before the look).")
    return notes


def _write(found: Comparison, split: str, notes: Sequence[str], out: Path) -> None:
    content = {
        "format": FORMAT,
        "split": split,
        "reference": found.reference,
        "measure": found.measure,
        "margin": found.margin,
        "images": found.images,
        "groups": found.groups,
        "notes": list(notes),
        "candidates": [
            {
                "name": each.name,
                "verdict": each.verdict,
                "p_better": each.p_better,
                "p_not_worse": each.p_not_worse,
                "figures": {name: text.plain(told) for name, told in each.contrasts.items()},
            }
            for each in found.candidates
        ],
    }
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "comparison.json", content)
    write_tables([text.table(found)], out)
