"""The learning-rate range test (Smith, WACV 2017): the loss while the rate rises from step to step, from far too small to far too large."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, repeat

import numpy as np
import pandas as pd
import torch
from torch import nn

from medtl.datamodule import StoredImages
from medtl.experiment.schema import Experiment
from medtl.module.classifier import Classifier
from medtl.module.learning import set_learning
from medtl.module.transfer_module import TransferModule

LOWEST, HIGHEST, STEPS = 1e-6, 1.0, 100
SMOOTHING = 0.9
"""Weight of the past in the running mean of the loss, corrected for its start."""
LOST = 4.0
"""Times the least loss: where the test ends, for nothing is learned any more."""


@dataclass(frozen=True)
class RateRange:
    """`curve`: a row per step, `rate` and `loss` (smoothed); where it falls fastest, is least, and is lost (None: nowhere)."""

    curve: pd.DataFrame
    steepest: float
    least: float
    lost: float | None

    @property
    def falls(self) -> bool:
        """Whether the loss comes below its start at all; the head of a linear probe stands at its optimum already."""
        return self.least > self.steepest


def rate_range(experiment: Experiment, classifier: Classifier, loss: nn.Module, data: StoredImages, steps: int = STEPS) -> RateRange:
    """Train `classifier` (which is spoiled by it) for `steps` steps with all layers that ever learn, each at its share of the rate.

    The first steps of a training are noisy, and the best rate of the first steps is not that of the last: an order of magnitude, no more.
    """
    transfer = experiment.transfer
    module = TransferModule(classifier, loss, transfer, steps, experiment.seed, experiment.task.positive_index)
    module.to(experiment.trainer.device)
    set_learning(classifier, module.groups, transfer.epochs - 1)
    module.train()
    optimizer = module.configure_optimizers()["optimizer"]
    shares = [group["initial_lr"] / transfer.rate for group in optimizer.param_groups]
    rates = np.geomspace(LOWEST, HIGHEST, steps)
    batches = chain.from_iterable(data.train_dataloader() for _ in repeat(None))
    mean, best, rows = 0.0, np.inf, []
    for step, (rate, (images, targets)) in enumerate(zip(rates, batches, strict=False)):
        for group, share in zip(optimizer.param_groups, shares, strict=True):
            group["lr"] = rate * share
        value = module.loss_of(images.to(experiment.trainer.device), targets.to(experiment.trainer.device), step)
        optimizer.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(classifier.parameters(), transfer.clip)
        optimizer.step()
        mean = SMOOTHING * mean + (1 - SMOOTHING) * float(value.detach())
        smooth = mean / (1 - SMOOTHING ** (step + 1))
        if not np.isfinite(smooth) or (step > steps // 10 and smooth > LOST * best):
            break
        rows.append((rate, smooth))
        best = min(best, smooth)
    return _read(pd.DataFrame(rows, columns=["rate", "loss"]), steps)


def _read(curve: pd.DataFrame, steps: int) -> RateRange:
    """The rates that matter; the steepest lies before the least. The first tenth, of a few noisy batches, has no say."""
    start = min(steps // 10, len(curve) - 1)
    least = int(curve["loss"][start:].idxmin())
    fall = np.gradient(curve["loss"].to_numpy(), np.log(curve["rate"].to_numpy()))
    steepest = start + int(np.argmin(fall[start : least + 1]))
    lost = float(curve["rate"].iloc[-1]) if len(curve) < steps else None
    return RateRange(curve, float(curve["rate"][steepest]), float(curve["rate"][least]), lost)
