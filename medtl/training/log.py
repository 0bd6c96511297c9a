"""What a training run writes down while it works: `log.jsonl` always, other trackers by setting."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medtl.errors import MedtlError
from medtl.experiment.schema import TrackingSettings

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger


class Log:
    """Appends one JSON object a line to `log.jsonl`, with the time in seconds since 1970 and the seconds of CPU that this process has
    taken; nothing is held open between lines."""

    def __init__(self, path: Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path

    def event(self, name: str, **facts: Any) -> None:
        """Write one line: `{"time": …, "cpu": …, "event": name, …}`."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"time": round(time.time(), 3), "cpu": round(time.process_time(), 3), "event": name, **facts}) + "\n")


def loggers(settings: TrackingSettings, run: Path, name: str) -> list[Logger]:
    """The trackers that the settings ask for, all local: TensorBoard files in the run, MLflow in `mlflow.db` beside the runs."""
    found: list[Logger] = []
    try:
        if settings.tensorboard:
            from lightning.pytorch.loggers import TensorBoardLogger

            found.append(TensorBoardLogger(run, name="tensorboard", version=""))
        if settings.mlflow:
            from lightning.pytorch.loggers import MLFlowLogger

            beside = (run.parent.parent if run.parent.name == "folds" else run).resolve().parent
            found.append(MLFlowLogger(name, run_name=run.name, tracking_uri=f"sqlite:///{beside / 'mlflow.db'}"))
    except ModuleNotFoundError as missing:
        raise MedtlError(f"tracking: {missing.name} is not installed; install it with: pip install 'medtl[tracking]'") from None
    return found
