"""Fine-tuning that remembers: what the model said before is a second target (learning without forgetting: Li & Hoiem, ECCV 2016)."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from medtl.module.classifier import Classifier, as_input
from medtl.module.transfer_module import TransferModule


class DistilledModule(TransferModule):
    """The loss of the labels, and `weight` times :func:`distillation` of what the classifier said of the same augmented images when this
    module was made; of `findings`, the mean over each of them and its absence. That older classifier is frozen, and is not kept."""

    def __init__(self, classifier: Classifier, *given: Any, weight: float, temperature: float, findings: bool, **named: Any):
        super().__init__(classifier, *given, **named)
        self.findings = findings
        self.older = copy.deepcopy(classifier).requires_grad_(False).eval()
        self.weight, self.temperature = weight, temperature
        self._said: tuple[Tensor, Tensor] | None = None

    def train(self, mode: bool = True) -> DistilledModule:
        super().train(mode)
        self.older.eval()
        return self

    def loss_of(self, given: Tensor, targets: Tensor, batch_index: int) -> Tensor:
        value = super().loss_of(given, targets, batch_index)
        assert self._said is not None
        with torch.autocast(self.device.type, enabled=False):
            now, before = (each.float() for each in self._said)
            if self.findings:  # each is told apart from its absence, whose logit is 0
                now, before = (torch.stack([torch.zeros_like(each), each], dim=2).flatten(0, 1) for each in (now, before))
            remembered = distillation(now, before, self.temperature)
        self._said = None
        return value + self.weight * remembered

    def answer(self, given: Tensor) -> Tensor:
        logits = super().answer(given)
        with torch.no_grad():
            before = self.older.learned(self.older.network.features(as_input(given)))
        self._said = (logits, before)
        return logits


def distillation(now: Tensor, before: Tensor, temperature: float) -> Tensor:
    """Mean over the batch of the Kullback-Leibler divergence of softmax(now / T) from softmax(before / T), times T² (Hinton et al., 2015),
    so that its gradient does not shrink with T. Logits (B, K); of equal ones 0. Its gradient is that of Li & Hoiem's cross-entropy."""
    divergence = functional.kl_div(
        functional.log_softmax(now / temperature, dim=1),
        functional.log_softmax(before / temperature, dim=1),
        reduction="batchmean",
        log_target=True,
    )
    return divergence * temperature**2
