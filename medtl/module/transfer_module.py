"""The Lightning module that fine-tunes a classifier: loss, optimiser, schedule, validation score."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor, nn

from medtl.backbones.cutting import cut
from medtl.errors import MedtlError
from medtl.evaluation import monitor
from medtl.module.auxiliary import Auxiliary
from medtl.module.classifier import Classifier, as_input
from medtl.module.learning import optimizer_groups, plan, rate_factors, set_learning, set_modes
from medtl.module.mixing import mix
from medtl.transfer import TransferSettings

Batch = tuple[Tensor, Tensor]


class TransferModule(pl.LightningModule):
    """Layers learn by the plan of :mod:`medtl.module.learning` (AdamW); validation is judged once per epoch on all its images together.

    `averaged`, where `transfer.ema` asks for it, is the exponential moving average that validation judges and that is kept. With
    `maps`, batches hold not images but maps at the border below the stages that learn (see `datamodule.StoredMaps`).
    """

    def __init__(
        self,
        classifier: Classifier,
        loss: nn.Module,
        transfer: TransferSettings,
        steps: int,
        seed: int,
        positive: int | None = None,
        maps: bool = False,
        prior_shift: Sequence[float] = (0.0,),
    ):
        super().__init__()
        self.classifier = classifier
        self.averaged = copy.deepcopy(classifier).requires_grad_(False) if transfer.ema else None
        self.loss = loss
        self.transfer = transfer
        self.steps = steps
        self.seed = seed
        self.positive = positive
        self.prior_shift = np.asarray(prior_shift, np.float64)
        self.groups = plan(classifier, transfer)
        self.auxiliary = Auxiliary(classifier, seed) if transfer.auxiliary else None
        self.score = -math.inf
        """Of the last validation; higher is better."""
        self._above = {each: _above(each, transfer.stages) for each in (classifier, self.judged)} if maps else {}
        self._pretrained = [(p, p.detach().clone()) for g in self.groups if not g.head for p in g.parameters] if transfer.l2_sp else []
        self._planned = -1
        self._judged: list[tuple[Tensor, Tensor]] = []

    @property
    def settled(self) -> bool:
        """Whether the loss is in its final phase: an epoch before it is no candidate for the best."""
        return bool(self.loss.settled)

    @property
    def judged(self) -> Classifier:
        """The classifier that validation judges and the package holds."""
        return self.averaged if self.averaged is not None else self.classifier

    def begin_average(self) -> None:
        """Let the average begin with the classifier as it now is."""
        if self.averaged is not None:
            self.averaged.load_state_dict(self.classifier.state_dict())

    def train(self, mode: bool = True) -> TransferModule:
        """As usual, but what is frozen stays in evaluation mode."""
        super().train(mode)
        if mode:
            set_modes(self.classifier, self.transfer)
        if self.averaged is not None:
            self.averaged.eval()
        return self

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        self._plan_epoch()
        # all chance depends on (seed, epoch, batch) alone: Lightning does not announce the first epoch after a resume
        torch.manual_seed(((self.seed * 1_000_003 + self.current_epoch) * 1_000_003 + batch_index) % 2**63)
        value = self.loss_of(*batch, batch_index)
        if not torch.isfinite(value):
            raise MedtlError(
                f"the loss is {value.item()} in epoch {self.current_epoch + 1}, batch {batch_index + 1}; lower transfer.rate "
                f"(now {self.transfer.rate:g}); the checkpoints of earlier epochs are kept"
            )
        return value

    def _plan_epoch(self) -> None:
        if self._planned != self.current_epoch:
            self._planned = self.current_epoch
            set_learning(self.classifier, self.groups, self.current_epoch)
            self.loss.set_progress(self.current_epoch / max(1, self.transfer.epochs - 1))
            self.train()

    def loss_of(self, given: Tensor, targets: Tensor, batch_index: int) -> Tensor:
        """The loss of one batch, mixed where that is asked for, with its auxiliary part."""
        if self._above:
            value: Tensor = self.loss(self.answer(given), targets, None)
            return value
        t = self.transfer
        images, others, share = as_input(given), targets, 1.0
        if t.mixup or t.cutmix:
            images, others, share = mix(images, targets, t.mixup, t.cutmix, (self.seed, self.current_epoch << 32 | batch_index))
        answers = [(1.0, self.answer(images))]
        if self.auxiliary is not None:
            answers.append((t.auxiliary, self.auxiliary()))
        parts = [weight * share * self.loss(logits, targets, None) for weight, logits in answers]
        if share < 1:
            parts += [weight * (1 - share) * self.loss(logits, others, None) for weight, logits in answers]
        return torch.stack(parts).sum()

    def answer(self, given: Tensor) -> Tensor:
        """Logits (B, K) of a training batch, or of the finer outputs that are learned."""
        return self.classifier.learned(self.features_of(given))

    def features_of(self, given: Tensor) -> Tensor:
        """Features (B, D) of a training batch, of images or of maps at the border."""
        return self._from_maps(self.classifier, given) if self._above else self.classifier.network.features(as_input(given))

    def _from_maps(self, classifier: Classifier, maps: Tensor) -> Tensor:
        maps = maps.contiguous(memory_format=torch.channels_last) if maps.ndim == 4 else maps
        return self._above[classifier](maps)

    def learns_beside(self) -> list[nn.Module]:
        """What learns with the classifier and is thrown away."""
        return [self.auxiliary.head] if self.auxiliary is not None else []

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Callable[[], Any] | None = None) -> None:
        rates = {id(parameter): group["lr"] for group in optimizer.param_groups for parameter in group["params"]}
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        with torch.no_grad():
            for parameter, start in self._pretrained:
                if parameter.requires_grad:
                    parameter.lerp_(start, min(1.0, rates[id(parameter)] * self.transfer.l2_sp))

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_index: int) -> None:
        if self.averaged is None:
            return
        # a short memory at first, so that the average does not drag the start along
        keep = min(self.transfer.ema, (1 + self.global_step) / (10 + self.global_step))
        with torch.no_grad():
            for slow, fast in zip(self.averaged.state_dict().values(), self.classifier.state_dict().values(), strict=True):
                slow.lerp_(fast, 1 - keep) if slow.is_floating_point() else slow.copy_(fast)

    def on_fit_end(self) -> None:
        if self.auxiliary is not None:
            self.auxiliary.detach()

    def on_validation_epoch_start(self) -> None:
        self._judged = []

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        given, targets = batch
        if self._above:
            answers = [self.judged.classify(self._from_maps(self.judged, view)) for view in given.unbind(dim=1)]
            logits = torch.stack(answers).mean(dim=0)
        else:
            logits = self.judged(given)
        self._judged.append((logits.float(), targets))

    def on_validation_epoch_end(self) -> None:
        logits, targets = (torch.cat(parts) for parts in zip(*self._judged, strict=True))
        truth = targets.cpu().numpy()
        undone = logits.double().cpu().numpy() - self.prior_shift  # judged is what the package will answer
        self.score = monitor.score(self.transfer.monitor, truth, undone, self.positive)

    def configure_optimizers(self) -> Any:
        groups, starts = optimizer_groups(self.groups, self.transfer)
        for beside in self.learns_beside():
            groups.append({"params": list(beside.parameters()), "lr": self.transfer.head_rate or self.transfer.rate})
            starts.append(0)
        optimizer = torch.optim.AdamW(groups, weight_decay=self.transfer.weight_decay)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate_factors(starts, self.steps, self.transfer))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def _above(classifier: Classifier, stages: int) -> Callable[[Tensor], Tensor]:
    found = cut(classifier.network, stages)
    assert found is not None, "maps were computed, so the network can be cut"
    return found.above
