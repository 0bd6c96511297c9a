"""The images of a split, and batches of them, gathered and augmented a whole batch at a time, in this process.

One cv2 warp costs about 0.15 ms, a training step some 30 ms per image on a CPU core, so worker processes would only add copies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

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
