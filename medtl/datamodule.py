"""Batches for Lightning (:mod:`medtl.batches`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lightning.pytorch as pl
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from medtl.augmentation import AugmentationSettings, augment
from medtl.batches import Batches, EpochOrder, PairOrder, Pairs, Part

if TYPE_CHECKING:
    from medtl.imaging.store import Store


class StoredImages(pl.LightningDataModule):
    """Training and validation batches of one run."""

    maps = False
    """Whether batches hold maps of frozen layers in place of images."""

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

    def training_batch(self, places: NDArray[np.int64]) -> Tensor:
        """Images uint8 (B, S, S, C) at these places of the training part, augmented for the present epoch."""
        positions = self.train.positions[places]
        return torch.from_numpy(augment(self.store.read(positions), positions, self.augmentation, self.seed, self._epoch()))

    def validation_batch(self, places: NDArray[np.int64]) -> Tensor:
        """Images uint8 (B, S, S, C) at these places of the validation part."""
        return torch.from_numpy(self.store.read(self.validation.positions[places]))

    def train_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        rank, world = self._place()
        order = EpochOrder(len(self.train), self.batch, self.seed, self.weights, rank, world, self._epoch)
        return DataLoader(Batches(self.training_batch, self.train.targets), sampler=order, batch_size=None)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        # every process judges all validation images: the score is then the same everywhere without a gather
        batches = np.split(np.arange(len(self.validation)), range(64, len(self.validation), 64))
        return DataLoader(Batches(self.validation_batch, self.validation.targets), sampler=batches, batch_size=None)  # type: ignore[arg-type]

    def _epoch(self) -> int:
        return max(self.trainer.current_epoch if self.trainer else 0, self.first_epoch)

    def _place(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)


class StoredMaps(StoredImages):
    """The same batches where frozen layers have run once: maps at the border below the stages that learn."""

    maps = True

    def __init__(self, images: StoredImages, training: list[Tensor], validation: list[Tensor]):
        super().__init__(images.store, images.train, images.validation, images.augmentation, images.batch, images.seed, images.weights)
        self.views, self.judged = training, validation
        """(N, …) of the training part per view, (M, …) of the validation part per mirror image."""

    def training_batch(self, places: NDArray[np.int64]) -> Tensor:
        """Maps (B, …) of one view of each image; in as many epochs as there are views, each is seen once."""
        turn = torch.from_numpy((places + self._epoch()) % len(self.views))
        index = torch.from_numpy(places)
        if len(self.views) == 1:
            return self.views[0][index]
        return torch.stack([self.views[int(view)][place] for view, place in zip(turn, index, strict=True)])

    def validation_batch(self, places: NDArray[np.int64]) -> Tensor:
        """Maps (B, V, …) of all mirror images."""
        return torch.stack([view[torch.from_numpy(places)] for view in self.judged], dim=1)


class StoredPairs(StoredImages):
    """A labelled batch of the source and an unlabelled one of the target in every step, from one loader; validation is the source's.

    A training batch is (source, targets, target, places): images or maps of both, the source's classes, and which of the target's training
    images they are. Not `labelled`: an epoch is one of the target alone, and the source's batch is empty.
    """

    def __init__(self, source: StoredImages, target: StoredImages, labelled: bool = True):
        super().__init__(source.store, source.train, source.validation, source.augmentation, source.batch, source.seed, source.weights)
        self.source, self.target, self.labelled, self.maps = source, target, labelled, source.maps

    def _leading(self) -> StoredImages:
        return self.source if self.labelled else self.target

    def steps_per_epoch(self, world: int = 1) -> int:
        return self._leading().steps_per_epoch(world)

    def validation_batch(self, places: NDArray[np.int64]) -> Tensor:
        return self.source.validation_batch(places)

    def train_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:  # type: ignore[override]
        for each in (self.source, self.target):
            each.trainer, each.first_epoch = self.trainer, self.first_epoch
        rank, world = self._place()
        source = EpochOrder(len(self.train), self.batch, self.seed, self.weights, rank, world, self._epoch)
        order = PairOrder(source if self.labelled else None, len(self.target.train), self.batch, self.seed, rank, world, self._epoch)
        pairs = Pairs(self.source.training_batch, self.train.targets, self.target.training_batch)
        return DataLoader(pairs, sampler=order, batch_size=None)
