"""Batches for Lightning (:mod:`medtl.batches`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lightning.pytorch as pl
import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from medtl.augmentation import AugmentationSettings
from medtl.batches import Batches, EpochOrder, Part

if TYPE_CHECKING:
    from medtl.imaging.store import Store


class StoredImages(pl.LightningDataModule):
    """Training and validation batches of one run."""

    def __init__(
        self,
        store: Store,
        train: Part,
        validation: Part,
        augmentation: AugmentationSettings,
        batch: int,
        seed: int,
        weights: NDArray[np.float64] | None = None,
    ):
        super().__init__()
        self.store, self.train, self.validation = store, train, validation
        self.augmentation, self.batch, self.seed, self.weights = augmentation, batch, seed, weights
        self.first_epoch = 0
        """Where a resumed training goes on: Lightning's loader starts before its own count of epochs is restored."""

    def steps_per_epoch(self, world: int = 1) -> int:
        """Optimiser steps in one epoch."""
        return len(EpochOrder(len(self.train), self.batch, self.seed, world=world))

    def train_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        rank, world = self._place()
        order = EpochOrder(len(self.train), self.batch, self.seed, self.weights, rank, world, self._epoch)
        return DataLoader(Batches(self.store, self.train, self.augmentation, self.seed, order), sampler=order, batch_size=None)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        # every process judges all validation images: the score is then the same everywhere without a gather
        batches = np.split(np.arange(len(self.validation)), range(64, len(self.validation), 64))
        return DataLoader(Batches(self.store, self.validation, None, self.seed), sampler=batches, batch_size=None)  # type: ignore[arg-type]

    def _epoch(self) -> int:
        return max(self.trainer.current_epoch if self.trainer else 0, self.first_epoch)

    def _place(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
