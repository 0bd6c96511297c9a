"""`medtl compare`: runs, or evaluations of one outside set, against a reference on the same images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from medtl.comparison import comparison, text
from medtl.comparison.comparison import Comparison
from medtl.comparison.page import write_page
from medtl.contracts import EXTERNAL, FORMAT, TEST, VALIDATION
from medtl.document.table import write_tables
from medtl.errors import MedtlError
from medtl.files import write_json
from medtl.flows.judging import refuse_occupied
from medtl.flows.sides import Side, side_of, task_of
from medtl.terminal import Line


def compare(
    folders: Sequence[Path | str],
    split: str | None = None,
    measure: str = "auroc",
    margin: float | None = None,
    out: Path | str | None = None,
    like: Path | str | None = None,
) -> Comparison:
    """The first of `folders` is the reference.

    split: by default `validation`, and `external` where evaluations of outside data are given. measure, margin: see
    :func:`medtl.comparison.comparison.compare`. like: a run or model whose task is that of evaluations on outside data. out: where
    `comparison.html`, `.json` and `.csv` go; by default nothing is written. Raises MedtlError where tasks, images, truths or groups
    differ.
    """
    out, like = (None if place is None else Path(place) for place in (out, like))
    if out is not None:
        refuse_occupied(out)
    if margin is not None and not 0 < margin < 0.5:
        raise MedtlError(f"--margin {margin:g}: is no margin; allowed: above 0, below 0.5 (0.02 is what one would overlook)")
    sides = [side_of(Path(folder)) for folder in folders]
    task = task_of(sides, like)
    chosen = split or (EXTERNAL if any(side.task is None for side in sides) else VALIDATION)
    names = _names([side.folder for side in sides])
    tables = {name: side.judged(chosen) for name, side in zip(names, sides, strict=True)}
    found = comparison.compare(tables, task, measure, margin)
    line, notes = Line(), _notes(chosen, margin, dict(zip(names, sides, strict=True)))
    line.keep(f"{chosen}: {found.images:,} images of {found.groups:,} groups; reference: {found.reference}")
    for said in (*(text.sentence(found, each) for each in found.candidates), *notes):
        line.keep(said)
    if out is not None:
        _write(found, chosen, notes, out)
        line.keep(f"comparison: {write_page(found, chosen, notes, out)}")
    return found


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


def _notes(split: str, margin: float | None, sides: Mapping[str, Side]) -> list[str]:
    notes = [f"Intervals speak of these patients, not of training luck: {_trained(sides)}. Other seeds give other models (medtl study)."]
    if split == VALIDATION:
        notes.append("Validation chose epochs and thresholds of all, so it is no proof; `--split test` compares what was opened.")
    if split == TEST:
        notes.append("Comparing many models on one test set makes the best of them look better than it is.")
    if margin is None:
        notes.append("No margin was stated, so nothing can be called not worse (`--margin 0.02`, chosen before the look).")
    return notes


def _trained(sides: Mapping[str, Side]) -> str:
    """What was judged of each: one training, several together, or one for each fold."""
    if all(side.trainings == 1 for side in sides.values()):
        return "one training of each was judged"
    return f"trainings behind the answers: {'; '.join(f'{name} {_number_trained(side)}' for name, side in sides.items())}"


def _number_trained(side: Side) -> str:
    if side.trainings is None:
        return "not recorded there"
    return f"{side.trainings}" + ("" if side.trainings == 1 else ", one for each fold" if side.over_folds else ", answering together")


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
                "p_worse": each.p_worse,
                "p_not_worse": each.p_not_worse,
                "figures": {name: text.plain(told) for name, told in each.contrasts.items()},
            }
            for each in found.candidates
        ],
    }
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "comparison.json", content)
    write_tables([text.table(found)], out)
