"""Checkpoints that a kill or a full disk cannot cost: one writer, two kept, the newest readable one is resumed.

Lightning's own writer moves a file from the system's temporary folder without flushing it, so a full disk can destroy the
last good checkpoint; this one writes in the same folder, flushes, reads back and only then replaces (see `medtl.files`).
"""

from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.plugins import CheckpointIO

from medtl.files import write_atomically
from medtl.module.classifier import Classifier
from medtl.module.transfer_module import TransferModule
from medtl.training.weights import save_weights

KEPT = 2
START = -1
"""Stands for the epoch before the first, which is 0."""


class SafeCheckpointIO(CheckpointIO):
    """Lightning's door to the file system."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        write_atomically(Path(path), lambda temporary: torch.save(checkpoint, temporary), _load)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        return _load(Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)


def _load(path: Path) -> dict[str, Any]:
    checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return checkpoint


def newest(folder: Path) -> Path | None:
    """The newest checkpoint that can be read, or None; a torn one is passed over."""
    for path in sorted(folder.glob("epoch-*.ckpt"), reverse=True):
        try:
            _load(path)
        except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError):
            continue
        return path
    return None


class Keeper(pl.Callback):
    """After every epoch: keep the best weights by validation, stop when patience is over, write the checkpoint to resume from."""

    def __init__(self, folder: Path, patience: int | None, most: int = 1):
        self.folder, self.patience, self.most = folder, patience, most
        self.kept: list[tuple[float, int]] = []
        """Score and epoch of the best so far, the best first (the earlier on a tie); `most` of them."""
        self.last_epoch = -1
        self.settled_from: int | None = None
        """The first epoch that could be kept: patience counts from there, for a loss whose last phase begins late."""

    @property
    def best(self) -> float:
        """The best score so far."""
        return self.kept[0][0] if self.kept else -math.inf

    @property
    def best_epoch(self) -> int:
        """The epoch, from 0, of the best score; :data:`START` where none was better than where it began, or before there is one."""
        return self.kept[0][1] if self.kept else START

    def file(self, epoch: int) -> Path:
        """Weights after a kept epoch."""
        return self.folder / f"best-{'start' if epoch == START else f'{epoch:04d}'}.safetensors"

    def begin(self, classifier: Classifier, score: float) -> None:
        """What training begins with is a candidate like any epoch: who fine-tunes a probe shall not end below it."""
        if score > -math.inf:
            self.folder.mkdir(parents=True, exist_ok=True)
            save_weights(classifier, self.file(START))
            self.kept = [(score, START)]

    def state_dict(self) -> dict[str, Any]:
        return {"kept": self.kept, "last_epoch": self.last_epoch, "settled_from": self.settled_from}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.kept, self.last_epoch = [(score, epoch) for score, epoch in state_dict["kept"]], state_dict["last_epoch"]
        self.settled_from = state_dict.get("settled_from", 0)

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """A run that patience had ended is not trained on when it is resumed."""
        self._stop_if_over(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, TransferModule)
        self.last_epoch = trainer.current_epoch
        before = self.kept
        if module.settled and self.settled_from is None:
            self.settled_from = trainer.current_epoch
        counts = module.settled and module.score > -math.inf
        candidates = [*before, (module.score, trainer.current_epoch)] if counts else before
        self.kept = sorted(candidates, key=lambda each: (-each[0], each[1]))[: self.most]
        if (module.score, trainer.current_epoch) in self.kept and trainer.is_global_zero:
            save_weights(module.judged, self.file(trainer.current_epoch))
        self._stop_if_over(trainer)
        trainer.save_checkpoint(self.folder / f"epoch-{trainer.current_epoch:04d}.ckpt")
        if trainer.is_global_zero:
            self._tidy(before)

    def _tidy(self, before: list[tuple[float, int]]) -> None:
        """Remove what neither of the two newest checkpoints speaks of."""
        kept = {self.file(epoch) for _, epoch in (*self.kept, *before)}
        for old in [*sorted(self.folder.glob("epoch-*.ckpt"))[:-KEPT], *(set(self.folder.glob("best-*.safetensors")) - kept)]:
            old.unlink()

    def _stop_if_over(self, trainer: pl.Trainer) -> None:
        if self.patience is None or self.settled_from is None or not self.kept:
            return
        if self.last_epoch - max(self.best_epoch, self.settled_from - 1) >= self.patience:
            trainer.should_stop = True
