"""What a training run says while it works: `log.jsonl` always, one readable line on the terminal, other trackers by setting."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.loggers import Logger

from medtl.errors import MedtlError
from medtl.experiment.schema import TrackingSettings
from medtl.module.transfer_module import TransferModule
from medtl.terminal import Line


class Log:
    """Appends one JSON object a line to `log.jsonl`, with the time in seconds since 1970; nothing is held open between lines."""

    def __init__(self, path: Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path

    def event(self, name: str, **facts: Any) -> None:
        """Write one line: `{"time": …, "event": name, …}`."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"time": round(time.time(), 3), "event": name, **facts}) + "\n")


class EpochReporter(pl.Callback):
    """Progress within an epoch, and one kept line and one log line per epoch."""

    def __init__(self, log: Log, line: Line, monitor: str, best: Callable[[], tuple[float, int]]):
        self.journal, self.line, self.monitor, self.best = log, line, monitor, best
        self._sum, self._count, self._start = 0.0, 0, 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._sum, self._count, self._start = 0.0, 0, time.monotonic()

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        self._sum, self._count = self._sum + float(outputs["loss"]), self._count + 1
        total = int(trainer.num_training_batches)
        left = (time.monotonic() - self._start) / self._count * (total * ((trainer.max_epochs or 1) - trainer.current_epoch) - self._count)
        self.line.show(
            f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}  batch {self._count}/{total}  "
            f"loss {self._sum / self._count:.3f}  about {left / 60:.0f} min left"
        )

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, TransferModule)
        loss, seconds = self._sum / max(1, self._count), time.monotonic() - self._start
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        best, best_epoch = self.best()
        facts = {"loss": loss, f"validation_{self.monitor}": module.score, "rate": rate, "seconds": round(seconds, 2)}
        self.journal.event("epoch", epoch=trainer.current_epoch + 1, **facts)
        for logger in trainer.loggers:
            logger.log_metrics(facts, step=trainer.current_epoch + 1)
        self.line.keep(
            f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}  loss {loss:.3f}  validation {self.monitor} {module.score:.4f}  "
            f"(best {best:.4f} in epoch {best_epoch + 1})  {seconds:.0f} s"
        )


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
