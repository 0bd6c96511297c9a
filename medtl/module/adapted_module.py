"""Fine-tuning beside a target without labels: the loss of the source, and a penalty on what the network makes of both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from medtl.adaptation.statistics import norms_of, unmoved
from medtl.adaptation.step import Step
from medtl.module.classifier import Classifier
from medtl.module.learning import norm_groups
from medtl.module.transfer_module import TransferModule

Look = Callable[[Classifier], tuple[Tensor, Tensor]]
"""Features (N, D) and logits (N, K), on the CPU, of all the target's training images as they are."""


class AdaptedModule(TransferModule):
    """Each domain's batch goes through the network by itself, so that batch norms see one domain at a time, as they will in use; their
    running averages, which the package keeps, are the target's (domain-specific batch normalisation: Chang et al., CVPR 2019).

    The last epoch is what is kept: source validation, which chooses the epoch of a training without a target, would choose the one that is
    adapted least. Without `labelled` batches there is no loss but the penalty, and the head stays; with `norms_alone` all stays but
    the scales and shifts of batch norms.
    """

    def __init__(self, *given: Any, penalty: nn.Module, labelled: bool, norms_alone: bool, look: Look, **named: Any):
        super().__init__(*given, **named)
        if norms_alone:
            self.groups = norm_groups(self.classifier, self.transfer)
        self.penalty, self.labelled, self._look = penalty, labelled, look
        self._norms = norms_of(self.classifier)
        self._unlabelled = torch.empty(0)
        self._seen: tuple[Tensor | None, ...] | None = None

    @property
    def settled(self) -> bool:
        """Whether this is the last epoch, in which all is done."""
        return super().settled and self._planned >= self.transfer.epochs - 1

    def learns_beside(self) -> list[nn.Module]:
        learning = any(True for _ in self.penalty.parameters())
        return [*super().learns_beside(), *([self.penalty] if learning else [])]

    def _plan_epoch(self) -> None:
        begins = self._planned != self.current_epoch
        if begins and hasattr(self.penalty, "relabel"):
            with torch.no_grad():
                self.penalty.relabel(*self._look(self.classifier), self.current_epoch / max(1, self.transfer.epochs - 1))
        super()._plan_epoch()
        if begins and not self.labelled:
            self.classifier.head.requires_grad_(False)

    def loss_of(self, given: Tensor, targets: Tensor, unlabelled: Tensor, places: Tensor, batch_index: int) -> Tensor:  # type: ignore[override]
        """The source's loss, if it is shown, and the penalty."""
        self._unlabelled = unlabelled
        if self.labelled:
            value = super().loss_of(given, targets, batch_index)
        else:
            value = self.answer(given).sum()  # of no image: 0
        assert self._seen is not None
        with torch.autocast(self.device.type, enabled=False):  # covariances and confusions want all their digits
            seen = (None if each is None else each.float() for each in self._seen)
            penalty: Tensor = self.penalty(Step(*seen, places, self.global_step / self.steps))
        self._seen = None
        return value + penalty

    def answer(self, given: Tensor) -> Tensor:
        """Logits (B, K) of the source's batch; what the network makes of the target's is kept for the penalty."""
        target_features = self.features_of(self._unlabelled)
        target_logits = self.classifier.classify(target_features)
        if not self.labelled:
            self._seen = (None, None, target_features, target_logits)
            return target_logits[:0]
        with unmoved(self._norms):  # second, for an auxiliary classifier takes the maps of the last pass
            features = self.features_of(given)
        logits = self.classifier.classify(features)
        self._seen = (features, logits, target_features, target_logits)
        return logits
