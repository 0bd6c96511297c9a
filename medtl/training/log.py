"""What a training run writes down while it works: `log.jsonl` always, other trackers by setting."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medtl.errors import MedtlError
from medtl.experiment.schema import TrackingSettings

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger


class Log:
    """Appends one JSON object a line to `log.jsonl`, with the time in seconds since 1970, the seconds of CPU and, by the `meter`, the
    kilowatt hours that this process has taken; nothing is held open between lines."""

    def __init__(self, path: Path, meter: Callable[[], float] | None = None):
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._meter = path, meter

    def event(self, name: str, **facts: Any) -> None:
        """Write one line: `{"time": …, "cpu": …, "event": name, …}`, with `kwh` where there is a meter."""
        stamp: dict[str, Any] = {"time": round(time.time(), 3), "cpu": round(time.process_time(), 3)}
        if self._meter is not None:
            stamp["kwh"] = round(self._meter(), 9)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**stamp, "event": name, **facts}) + "\n")

    def beside(self, path: Path) -> Log:
        """Another file under the same meter."""
        return Log(path, self._meter)


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
