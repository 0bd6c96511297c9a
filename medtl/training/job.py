"""Everything that one fit works with: images, labels, settings, and where it keeps and says things."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medtl.batches import Part
from medtl.evaluation import monitor
from medtl.experiment.schema import Experiment
from medtl.features import PLAIN, View, augmented, cached_features
from medtl.imaging.store import Store
from medtl.module.classifier import Classifier
from medtl.module.inference import logits_of
from medtl.terminal import Line
from medtl.training.balance import Balance
from medtl.training.log import Log

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

    from medtl.training.adapting import Adapting
    from medtl.training.further import Further

Watch = Callable[[int, float], None]
"""Is told, after each epoch (from 0), the best validation score so far; it may end the training by an exception of its own."""


def unwatched(epoch: int, score: float) -> None:
    """Nobody looks on."""


@dataclass(frozen=True)
class Job:
    """One fit: of a run, or of one fold of it."""

    experiment: Experiment
    store: Store
    train: Part
    validation: Part
    balanced: Balance
    folder: Path
    """Takes the checkpoints; an interrupted fit is continued from them."""
    cache: Path
    """Where what frozen layers make of images is kept."""
    log: Log
    line: Line
    trackers: list[Logger]
    watch: Watch = unwatched
    adapting: Adapting | None = None
    """The target domain that this fit adapts to, None: to none."""
    further: Further | None = None
    """The packaged model that this fit goes on from, None: a first training."""

    @property
    def device(self) -> torch.device:
        """Where the network computes."""
        return torch.device(self.experiment.trainer.device)

    def training_precision(self) -> torch.autocast:
        """In which the network trains, and what need not be exact may run."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.experiment.trainer.precision == "bfloat16")

    def training_views(self) -> list[View]:
        """What frozen layers are shown of a training image: the plain view, then augmented ones."""
        e = self.experiment
        return [augmented(e.augmentation, e.seed, number) for number in range(e.transfer.views or 1)]

    def features(self, classifier: Classifier, part: Part, view: View = PLAIN) -> Tensor:
        """(N, D) of one part's images."""
        progress = self.line.progress("features")
        return cached_features(classifier.network, self.store, part.positions, self.device, self.cache, progress, view)

    @property
    def begins_as_probe(self) -> bool:
        """Whether fine-tuning begins with a head that this fit has made, and not with a model that was there before."""
        return self.experiment.transfer.probed and self.further is None and not (self.adapting and self.adapting.continues)

    def validation_logits(self, classifier: Classifier) -> NDArray[np.float64]:
        """(N, K) raw logits of the validation images, all layers run."""
        return logits_of(classifier, self.store, self.validation.positions, self.device)

    def score(self, classifier: Classifier) -> float:
        """The monitored validation score, of what the package would answer: the prior shift is undone."""
        e, undone = self.experiment, self.validation_logits(classifier) - np.asarray(self.balanced.prior_shift)
        return monitor.score(e.transfer.monitor, self.validation.targets, undone, e.task.positive_index)
