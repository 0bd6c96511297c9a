"""The Lightning module that fine-tunes a classifier: loss, optimiser, schedule, validation score."""

from __future__ import annotations

import copy
import math
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor, nn

from medtl.errors import MedtlError
from medtl.evaluation import monitor
from medtl.module.classifier import Classifier
from medtl.transfer import TransferSettings

Batch = tuple[Tensor, Tensor]


class TransferModule(pl.LightningModule):
    """All layers learn (AdamW, linear warm-up, cosine decay); validation is judged once per epoch on all its images together.

    `averaged`, where `transfer.ema` asks for it, is the exponential moving average that validation judges and that is kept.
    """

    def __init__(
        self, classifier: Classifier, loss: nn.Module, transfer: TransferSettings, steps: int, seed: int, positive: int | None = None
    ):
        super().__init__()
        self.classifier = classifier
        self.averaged = copy.deepcopy(classifier).requires_grad_(False) if transfer.ema else None
        self.loss = loss
        self.transfer = transfer
        self.steps = steps
        self.seed = seed
        self.positive = positive
        self.score = -math.inf
        """Of the last validation; higher is better."""
        self._judged: list[tuple[Tensor, Tensor]] = []

    @property
    def judged(self) -> Classifier:
        """The classifier that validation judges and the package holds."""
        return self.averaged if self.averaged is not None else self.classifier

    def train(self, mode: bool = True) -> TransferModule:
        """As usual, but frozen batch norms stay in evaluation mode: their statistics must not move."""
        super().train(mode)
        if self.transfer.batch_norm == "frozen":
            for module in batch_norms(self.classifier):
                module.eval()
        if self.averaged is not None:
            self.averaged.eval()
        return self

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        images, targets = batch
        # dropout depends on (seed, epoch, batch) alone: Lightning does not announce the first epoch after a resume
        torch.manual_seed((self.seed * 1_000_003 + self.current_epoch) * 1_000_003 + batch_index)
        value: Tensor = self.loss(self.classifier(images), targets, None)
        if not torch.isfinite(value):
            raise MedtlError(
                f"the loss is {value.item()} in epoch {self.current_epoch + 1}, batch {batch_index + 1}; lower transfer.rate "
                f"(now {self.transfer.rate:g}); the checkpoints of earlier epochs are kept"
            )
        return value

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_index: int) -> None:
        if self.averaged is None:
            return
        # a short memory at first, so that the average does not drag the start along
        keep = min(self.transfer.ema, (1 + self.global_step) / (10 + self.global_step))
        with torch.no_grad():
            for slow, fast in zip(self.averaged.state_dict().values(), self.classifier.state_dict().values(), strict=True):
                slow.lerp_(fast, 1 - keep) if slow.is_floating_point() else slow.copy_(fast)

    def on_validation_epoch_start(self) -> None:
        self._judged = []

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        images, targets = batch
        self._judged.append((self.judged(images).float(), targets))

    def on_validation_epoch_end(self) -> None:
        logits, targets = (torch.cat(parts) for parts in zip(*self._judged, strict=True))
        truth = targets.cpu().numpy().astype(np.int64)
        self.score = monitor.score(self.transfer.monitor, truth, logits.double().cpu().numpy(), self.positive)

    def configure_optimizers(self) -> Any:
        t = self.transfer
        if t.batch_norm == "frozen":
            for module in batch_norms(self.classifier):
                module.requires_grad_(False)
        head = {id(parameter) for parameter in self.classifier.head.parameters()}
        groups = []
        for of_head, rate in ((False, t.rate), (True, t.head_rate or t.rate)):
            own = [p for p in self.classifier.parameters() if p.requires_grad and (id(p) in head) == of_head]
            # biases and norms are not decayed (He et al., "Bag of tricks", 2019)
            groups.append({"params": [p for p in own if p.ndim > 1], "lr": rate, "weight_decay": t.weight_decay})
            groups.append({"params": [p for p in own if p.ndim <= 1], "lr": rate, "weight_decay": 0.0})
        optimizer = torch.optim.AdamW([group for group in groups if group["params"]])
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_factor(step, self.steps, t.warmup))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def rate_factor(step: int, steps: int, warmup: float) -> float:
    """Linear rise over the first `warmup` share of the steps, then half a cosine to zero; in (0, 1]."""
    rise = max(1, round(warmup * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rise) / max(1, steps - rise))))


def batch_norms(module: nn.Module) -> list[nn.Module]:
    """All batch-norm layers (timm's fused norm-activations are subclasses of them)."""
    return [layer for layer in module.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
