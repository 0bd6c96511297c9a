"""What fine-tuning says of each epoch: one readable line on the terminal, one in the log, and to every tracker."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl

from medtl.module.transfer_module import TransferModule
from medtl.terminal import Line
from medtl.training.job import Watch, unwatched
from medtl.training.log import Log


class EpochReporter(pl.Callback):
    """Progress within an epoch, and one kept line and one log line per epoch."""

    def __init__(self, log: Log, line: Line, monitor: str, best: Callable[[], tuple[float, int]], watch: Watch = unwatched):
        self.journal, self.line, self.monitor, self.best, self.watch = log, line, monitor, best, watch
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
        rate = max(group["lr"] for group in trainer.optimizers[0].param_groups)
        best, best_epoch = self.best()
        facts = {"loss": loss, f"validation_{self.monitor}": module.score, "rate": rate, "seconds": round(seconds, 2)}
        phase = {} if module.settled else {"settled": False}
        self.journal.event("epoch", epoch=trainer.current_epoch + 1, **facts, **phase)
        for logger in trainer.loggers:
            logger.log_metrics(facts, step=trainer.current_epoch + 1)
        self.line.keep(
            f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}  loss {loss:.3f}  validation {self.monitor} {module.score:.4f}  "
            f"({f'best {best:.4f} in epoch {best_epoch + 1}' if best > -math.inf else 'none is kept so far'})  {seconds:.0f} s"
        )
        if module.settled and best > -math.inf:  # before, it is the score of what training began with
            self.watch(trainer.current_epoch, best)
