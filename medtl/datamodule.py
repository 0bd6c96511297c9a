"""Batches for Lightning: stored uint8 images gathered and augmented a whole batch at a time, in this process.

One cv2 warp costs about 0.15 ms, a training step some 30 ms per image on a CPU core, so worker processes would only add copies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import lightning.pytorch as pl
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from medtl.augmentation import AugmentationSettings, augment

if TYPE_CHECKING:
    from medtl.imaging.store import Store


Targets = NDArray[np.int64] | NDArray[np.float32]
"""(N,) positions of classes in task order; of several findings per image (N, K) 1, 0, or NaN = unknown."""


@dataclass(frozen=True)
class Part:
    """The images of one split: their positions in the store and their classes."""

    positions: NDArray[np.int64]
    targets: Targets

    def __len__(self) -> int:
        return len(self.positions)


class EpochOrder(Sampler[NDArray[np.int64]]):
    """Batches of places within a part, drawn from (seed, epoch) alone; `current_epoch` tells the epoch.

    `weights` None: every image once, in a new order. Else (N,) weights: as many draws as images, with replacement.
    A last incomplete batch is left out (a batch norm cannot train on one image). With several processes each takes its own share.
    """

    def __init__(
        self,
        size: int,
        batch: int,
        seed: int,
        weights: NDArray[np.float64] | None = None,
        rank: int = 0,
        world: int = 1,
        current_epoch: Callable[[], int] = int,
    ):
        self.size, self.seed, self.weights, self.rank, self.world = size, seed, weights, rank, world
        self.batch = min(batch, size // world)
        self.current_epoch = current_epoch

    @property
    def epoch(self) -> int:
        """Asked when it is needed, for it decides order and augmentation."""
        return self.current_epoch()

    def __len__(self) -> int:
        return self.size // self.world // self.batch

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        rng = np.random.Generator(np.random.Philox(key=[self.seed, self.epoch]))
        if self.weights is None:
            order = rng.permutation(self.size)
        else:
            order = rng.choice(self.size, self.size, p=self.weights / self.weights.sum())
        own = order[self.rank :: self.world]
        for i in range(len(self)):
            yield own[i * self.batch : (i + 1) * self.batch]


class Batches(Dataset[tuple[Tensor, Tensor]]):
    """Indexed by an array of places: a whole batch at once, (what `read` gives for these places, targets (B,) or (B, K))."""

    def __init__(self, read: Callable[[NDArray[np.int64]], Tensor], targets: Targets):
        self.read, self.targets = read, targets

    def __getitem__(self, places: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        return self.read(places), torch.from_numpy(self.targets[places])


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
