"""The images of a split, and batches of them, gathered and augmented a whole batch at a time, in this process.

One cv2 warp costs about 0.15 ms, a training step some 30 ms per image on a CPU core, so worker processes would only add copies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

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


TURNS = 1 << 32
"""The target's orders are drawn from epochs beyond this one, of which no source has so many; each epoch has :data:`MOST_TURNS` of them."""
MOST_TURNS = 1 << 20
Places = tuple[NDArray[np.int64], NDArray[np.int64]]


class PairOrder(Sampler[Places]):
    """Places of a source batch and of a target batch for every step.

    The source's are those of `source`, so that a source with a target beside it is drawn as one alone; the target's images are gone through
    as often as that takes, each time in a new order. Without a source an epoch is once through the target.
    """

    def __init__(
        self,
        source: EpochOrder | None,
        size: int,
        batch: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
        current_epoch: Callable[[], int] = int,
    ):
        self.source, self.size, self.batch, self.seed, self.rank, self.world = source, size, batch, seed, rank, world
        self.current_epoch = current_epoch

    def __len__(self) -> int:
        return len(self.source) if self.source is not None else len(self._turn(0, 0))

    def __iter__(self) -> Iterator[Places]:
        epoch = self.current_epoch()
        target = (places for turn in count() for places in self._turn(epoch, turn))
        if self.source is not None:
            yield from zip(self.source, target, strict=False)
        else:
            yield from ((np.empty(0, np.int64), places) for places in self._turn(epoch, 0))

    def _turn(self, epoch: int, turn: int) -> EpochOrder:
        drawn = TURNS + epoch * MOST_TURNS + turn
        return EpochOrder(self.size, self.batch, self.seed, None, self.rank, self.world, lambda: drawn)


class Pairs(Dataset[tuple[Tensor, ...]]):
    """Indexed by :class:`PairOrder`: (source, targets (B,) or (B, K), target, places (B,)); `read`, `read_target` as of `Batches`."""

    def __init__(
        self,
        read: Callable[[NDArray[np.int64]], Tensor],
        targets: Targets,
        read_target: Callable[[NDArray[np.int64]], Tensor],
    ):
        self.labelled, self.read_target = Batches(read, targets), read_target

    def __getitem__(self, places: Places) -> tuple[Tensor, ...]:
        source, target = places
        unlabelled = self.read_target(target)
        labelled = self.labelled[source] if len(source) else (unlabelled[:0], torch.from_numpy(self.labelled.targets[source]))
        return (*labelled, unlabelled, torch.from_numpy(target))
