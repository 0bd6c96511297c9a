"""`medtl paper`: from a finished run, or an evaluation on outside data, to the parts of a manuscript."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from medtl import predictions, records
from medtl.audit import kept as audit
from medtl.audit.kept import Audit
from medtl.contracts import EXTERNAL
from medtl.errors import MedtlError
from medtl.evaluation import metrics_file
from medtl.files import locked
from medtl.flows.judging import refuse_occupied
from medtl.flows.looks import read_looks
from medtl.flows.report import contents_of
from medtl.flows.run import EXPERIMENT, load_run, model_folder
from medtl.model import format as package_format
from medtl.paper.kit import write_kit
from medtl.report.contents import Contents
from medtl.report.judged import judged_splits
from medtl.terminal import Line

FOLDER = "paper"


def paper(folder: Path | str, out: Path | str | None = None, like: Path | str | None = None) -> Path:
    """Write the kit and return its folder.

    folder: a finished run, or what `medtl evaluate MODEL MANIFEST` wrote. out: a new or empty folder, default `paper` in it; a kit is
    never overwritten, for its authors fill it in. like: of an outside evaluation the run or package that was judged, which it does not
    hold. Raises MedtlError where a table is missing, or `out` holds anything.
    """
    folder = Path(folder)
    place = Path(out) if out else folder / FOLDER
    contents, found = _outside(folder, like) if _is_outside(folder) else _run(folder, like)
    judged_splits(contents.metrics)
    refuse_occupied(place)
    line = Line()
    with locked(place):
        for lacking in write_kit(contents, found, place):
            line.keep(lacking)
    (place / ".lock").unlink(missing_ok=True)
    line.keep(f"paper kit: {place / 'README.md'}")
    return place


def _is_outside(folder: Path) -> bool:
    return (folder / "metrics.json").is_file() and not (folder / EXPERIMENT).is_file() and folder.resolve().parent.name != "folds"


def _run(folder: Path, like: Path | str | None) -> tuple[Contents, Audit | None]:
    if like is not None:
        raise MedtlError(f"--like {like}: is for results on outside data, which do not hold their model; {folder} is a run and does")
    run = load_run(folder)
    above = folder if (folder / EXPERIMENT).is_file() else folder.resolve().parent.parent
    return contents_of(run, run.folder), audit.read(above)


def _outside(folder: Path, like: Path | str | None) -> tuple[Contents, Audit | None]:
    """Of an outside evaluation: its own tables, and of the model what its package says."""
    if like is None:
        raise MedtlError(
            f"{folder}: holds results on outside data, without their model; name the run or package that was judged with --like"
        )
    package = package_format.read(model_folder(like))
    rows, judged = records.read(folder / "records.csv"), predictions.read(folder / "predictions.csv")
    _refuse_other_classes(judged, package.task.names, folder, like)
    known = pd.DataFrame(judged[["image", "frame"]]).merge(rows, on=["image", "frame"])
    looks = read_looks(known["sha256"], package.fingerprint)
    contents = Contents(
        task=package.task,
        metrics=metrics_file.read(folder / "metrics.json"),
        predictions=judged,
        records=rows,
        package=package.model_dump(mode="json"),
        commands=[f"medtl evaluate MODEL MANIFEST.csv   # the split {EXTERNAL}"],
        looks=looks.all_sentence() if looks else "",
    )
    return contents, None


def _refuse_other_classes(judged: pd.DataFrame, names: tuple[str, ...], folder: Path, like: Path | str) -> None:
    """Raises MedtlError where the answers cannot be this model's."""
    if lacking := [name for name in names if f"p_{name}" not in judged.columns]:
        raise MedtlError(
            f"--like {like}: has the class '{lacking[0]}', which the answers in {folder} do not have; name the model that gave them"
        )
