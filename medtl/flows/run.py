"""A run folder as one object: its settings, its tables, its model."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from medtl import predictions, records
from medtl.adaptation import SOURCE_ONLY
from medtl.errors import MedtlError, did_you_mean
from medtl.experiment.load import load_experiment
from medtl.experiment.schema import Experiment

if TYPE_CHECKING:
    from medtl.model.model import Model

EXPERIMENT = "experiment.yaml"
CANDIDATES = "candidates"
"""The folder of what adaptation trained: a run each, which shares the experiment of the run above it."""


@dataclass(frozen=True)
class Run:
    """One run, or one fold of a run (which shares the experiment of the run above it)."""

    folder: Path
    experiment: Experiment

    @property
    def name(self) -> str:
        """`experiment/folder`, and `…/folds/3` for a fold."""
        return f"{self.experiment.name}/{self.folder.resolve().name}"

    def records(self) -> pd.DataFrame:
        """The records table: every image with its split."""
        return records.read(self._file("records.csv"))

    def predictions(self) -> pd.DataFrame:
        """The predictions table: validation, and test once that was opened."""
        return predictions.read(self._file("predictions.csv"))

    def metrics(self) -> dict[str, Any]:
        """The content of metrics.json."""
        from medtl.evaluation import metrics_file

        return metrics_file.read(self._file("metrics.json"))

    def table(self, name: str) -> pd.DataFrame:
        """A table of the run's report, such as `test_subgroups`: what stands in `report/<name>.csv`, figures as numbers."""
        path = self.folder / "report" / f"{name}.csv"
        if not path.is_file():
            there = sorted(file.stem for file in path.parent.glob("*.csv"))
            known = f"there are: {', '.join(there)}" if there else f"it has none yet: medtl report {self.folder}"
            raise MedtlError(f"{self.folder}: its report has no table '{name}'{did_you_mean(name, there)}; {known}")
        return pd.read_csv(path)

    def environment(self) -> dict[str, Any]:
        """Versions, platform and data root of the training."""
        path = self._file("environment.json")
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            raise MedtlError(f"{path}: is cut or damaged") from None
        return dict(content)

    def model(self, device: str = "auto") -> Model:
        """The packaged model, loaded."""
        from medtl.model.model import Model

        return Model.load(self.folder / "model", device)

    def folds(self) -> list[Run]:
        """The runs of a k-fold experiment, in the order of the folds; empty otherwise."""
        return [Run(place, self.experiment) for place in _numbered(self.folder / "folds")]

    def trainings(self) -> list[Run]:
        """Each fit by itself: the folds, or the members that differ by their seed; the run itself where it is one fit."""
        return self.folds() or [Run(place, self.experiment) for place in _numbered(self.folder / "members")] or [self]

    def candidates(self) -> dict[str, Run]:
        """What adaptation trained, source-only first; empty without adaptation."""
        if self.experiment.adaptation == "none":
            return {}
        names = [SOURCE_ONLY, *(method.name for method in self.experiment.adaptation.methods)]
        return {name: Run(self.folder / CANDIDATES / name, self.experiment) for name in names}

    def _file(self, name: str) -> Path:
        path = self.folder / name
        if not path.is_file():
            raise MedtlError(
                f"{self.folder}: has no {name}; the run is not finished: continue it with `medtl train CONFIG --out {self.folder} --resume`"
            )
        return path


def _numbered(folder: Path) -> list[Path]:
    return [place for _, place in sorted((int(place.name), place) for place in folder.glob("*") if place.name.isdigit())]


def load_run(folder: str | Path) -> Run:
    """Open a run folder, one of its `folds/<i>` or of its `candidates/<name>`. Raises MedtlError where it is none."""
    folder = Path(folder)
    if not folder.is_dir():
        raise MedtlError(f"{folder}: there is no such folder; a run is what `medtl train` writes, by default runs/<name>/<time>")
    above = folder.resolve().parent
    for place in (folder, above.parent if above.name in ("folds", CANDIDATES) else folder):
        if (place / EXPERIMENT).is_file():
            return Run(folder, load_experiment(place / EXPERIMENT))
    hint = "; it holds runs: name one of them" if any(folder.glob(f"*/{EXPERIMENT}")) else ""
    raise MedtlError(f"{folder}: holds no {EXPERIMENT}, so it is no run{hint}")


def data_root_of(run: Run, data: Path | None) -> Path:
    """`data`, else where the run's images were when it was trained. Raises MedtlError where that folder is not there."""
    if data is None:
        above = run.folder if (run.folder / "environment.json").is_file() else run.folder.resolve().parent.parent
        data = Path(str(Run(above, run.experiment).environment().get("data_root", "")))
    if not data.is_dir():
        raise MedtlError(f"{run.folder}: its images were in {data}, which is not there; say where they are now with --data DIR")
    return data


def model_folder(path: str | Path) -> Path:
    """The package that is meant by a package folder or by a run folder. Raises MedtlError where neither is there."""
    path = Path(path)
    if (path / "model.json").is_file():
        return path
    if (path / "model" / "model.json").is_file():
        return path / "model"
    if not path.is_dir():
        raise MedtlError(f"{path}: there is no such folder; give a model package (the folder `model` of a run) or a run")
    raise MedtlError(f"{path}: is neither a model package (no model.json) nor a finished run (no model/model.json)")
