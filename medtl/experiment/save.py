"""The complete snapshot of an Experiment, every default written out, which loads back to an equal one."""

from __future__ import annotations

from pathlib import Path

from medtl.contracts import FORMAT
from medtl.experiment import strict_yaml
from medtl.experiment.load import HEADER
from medtl.experiment.schema import Experiment
from medtl.files import write_text


def to_yaml(experiment: Experiment) -> str:
    """The experiment as config text. Settings that are unset (`null`) are left out, for that is their default."""
    data = experiment.model_dump(mode="json", by_alias=True, exclude_none=True)
    return f"{HEADER}{FORMAT}\n{strict_yaml.dump(data)}"


def save_experiment(experiment: Experiment, path: str | Path) -> None:
    """Write the snapshot; a reader sees the old file or the whole new one."""
    write_text(Path(path), to_yaml(experiment))
