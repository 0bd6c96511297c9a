"""Batch norms whose running averages training moves, and the images that give them statistics."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medtl.adaptation.statistics import Norms, norms_of
from medtl.features import BATCH
from medtl.module.classifier import Classifier, as_input
from medtl.module.learning import plan, set_learning, set_modes
from medtl.training.job import Job
from medtl.transfer import TransferSettings


def learning_norms(transfer: TransferSettings, classifier: Classifier) -> Norms:
    """The batch norms whose running averages training moves, by its last epoch; the others keep what was loaded."""
    set_learning(classifier, plan(classifier, transfer), transfer.epochs - 1)
    classifier.train()
    set_modes(classifier, transfer)
    return [norm for norm in norms_of(classifier.network) if norm.training]


class StoredBatches:
    """Stored images float (B, C, S, S) in batches, as often as asked.

    None has one image alone, unless there is no other: a norm over maps of one pixel (of small images, or within an attention) would have
    a single value per channel and no variance.
    """

    def __init__(self, job: Job, positions: NDArray[np.int64]):
        self._job, self._positions = job, positions

    def __iter__(self) -> Iterator[Tensor]:
        progress, done = self._job.line.progress("statistics"), 0
        for positions in np.split(self._positions, range(BATCH, len(self._positions) - 1, BATCH)):
            yield as_input(torch.from_numpy(self._job.store.read(positions)).to(self._job.device))
            done += len(positions)
            progress(done, len(self._positions))
