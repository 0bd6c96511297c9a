"""Which folder a training writes into: new, empty, or unfinished and resumed; never one that holds something else."""

from __future__ import annotations

import contextlib
import shutil
from datetime import datetime
from pathlib import Path

from medtl.errors import MedtlError
from medtl.experiment.schema import Experiment


def choose(experiment: Experiment, out: Path | None, resume: bool) -> Path:
    """`out`, else a new `runs/<name>/<time>`; to resume without `out`, the newest unfinished run of this name. Refuses all else."""
    base = Path("runs") / experiment.name
    if out is None and resume:
        unfinished = [folder for folder in sorted(base.glob("*")) if (folder / "experiment.yaml").exists() and not finished(folder)]
        if not unfinished:
            raise MedtlError(f"--resume: {base} holds no unfinished run of '{experiment.name}'; name the run folder with --out")
        return unfinished[-1]
    folder = out or base / datetime.now().strftime("%Y%m%d-%H%M%S")
    if folder.exists() and not folder.is_dir():
        raise MedtlError(f"--out {folder}: is a file; a run is a folder")
    if resume and not folder.exists():
        raise MedtlError(f"--resume: there is no folder {folder}; give the run's own as --out, or start anew without --resume")
    if not resume and folder.exists() and any(item.name != ".lock" for item in folder.iterdir()):
        raise MedtlError(f"{folder} is not empty, and a run is never overwritten; choose another --out, or continue it with --resume")
    if resume and finished(folder):
        raise MedtlError(f"{folder} is finished; there is nothing to resume")
    return folder


def withdraw(folder: Path) -> None:
    """A start that is refused leaves nothing that is in the way of the next one, or that `--resume` would take for a run."""
    if (folder / "records.csv").exists():
        return
    for name in ("experiment.yaml", "environment.json", "log.jsonl", ".lock"):
        (folder / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # something else lies there
        folder.rmdir()


def drop_checkpoints(folder: Path) -> None:
    """Of a run that nothing will continue, its folds and members: several times as large as the package, which holds the weights."""
    for checkpoints in [*folder.rglob("checkpoints")]:
        shutil.rmtree(checkpoints)


def finished(folder: Path) -> bool:
    """Whether the run reached its end."""
    return (folder / "model" / "model.json").exists() and (folder / "metrics.json").exists()
