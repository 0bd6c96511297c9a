"""What learns, at which rate, when: one plan for every strategy, a function of the settings and the epoch alone.

One optimiser holds all weights from the first step to the last; a stage that does not learn yet has no gradient and so no state in it.
A resumed training therefore continues as the uninterrupted one would have, also after a stage was added.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from medtl.errors import MedtlError
from medtl.module.classifier import Classifier
from medtl.transfer import TransferSettings

NEVER = math.inf


@dataclass(frozen=True)
class Group:
    """Weights that learn together: a stage of the network, or the head. Those of a frozen batch norm are in no group."""

    parameters: tuple[nn.Parameter, ...]
    rate: float
    """Peak learning rate."""
    start: float
    """The epoch, from 0, in which it begins to learn; NEVER: not at all."""
    head: bool = False


def plan(classifier: Classifier, transfer: TransferSettings) -> list[Group]:
    """The stages from the input up, then the head."""
    stages = classifier.network.stages()
    frozen = _norm_parameters(classifier) if transfer.batch_norm == "frozen" else set()
    named = dict(classifier.network.named_parameters())
    groups = []
    for depth, names in zip(range(len(stages) - 1, -1, -1), stages, strict=True):
        own = tuple(named[name] for name in names if named[name] not in frozen)
        groups.append(Group(own, transfer.rate * transfer.layer_decay**depth, _start(transfer, depth)))
    return [*groups, Group(tuple(classifier.head.parameters()), transfer.head_rate or transfer.rate, 0, head=True)]


def norm_groups(classifier: Classifier, transfer: TransferSettings) -> list[Group]:
    """The stages of the plan, of which the scales and shifts of batch norms alone learn; the head does not."""
    norms, stages = _norm_parameters(classifier), plan(classifier, transfer)[:-1]
    return [replace(stage, parameters=tuple(p for p in stage.parameters if p in norms)) for stage in stages]


def refuse_impossible(classifier: Classifier, transfer: TransferSettings) -> None:
    """Raises MedtlError for what this network does not have: so many stages, a place for an auxiliary classifier."""
    network = classifier.network
    name, stages = network.description["architecture"], len(network.stages())
    if transfer.strategy == "partial" and transfer.stages > stages:
        raise MedtlError(f"transfer.stages is {transfer.stages}, but {name} has {stages}; choose fewer, or strategy lp-ft")
    if transfer.auxiliary and network.auxiliary() is None:
        raise MedtlError(f"transfer.auxiliary: {name} has no place for an auxiliary classifier; leave it out, or choose inception_v3")


def _norm_parameters(classifier: Classifier) -> set[nn.Parameter]:
    return {parameter for module in classifier.modules() if is_batch_norm(module) for parameter in module.parameters(recurse=False)}


def _start(transfer: TransferSettings, depth: int) -> float:
    """The epoch in which a stage begins; `depth` 0 is the last stage."""
    if transfer.strategy == "gradual":
        return depth * transfer.unfreeze_every
    if transfer.strategy == "partial":
        return 0 if depth < transfer.stages else NEVER
    return 0


def set_learning(classifier: Classifier, groups: list[Group], epoch: int) -> None:
    """Give gradients to what learns in this epoch, and to nothing else."""
    classifier.requires_grad_(False)
    for group in groups:
        for parameter in group.parameters:
            parameter.requires_grad_(epoch >= group.start)


def set_modes(classifier: Classifier, transfer: TransferSettings) -> None:
    """After `train()`: all that is frozen back to evaluation mode, and batch norms whose running averages must not move."""
    for module in classifier.modules():
        own = list(module.parameters())
        if (own and not any(parameter.requires_grad for parameter in own)) or (is_batch_norm(module) and transfer.batch_norm != "train"):
            module.eval()


def optimizer_groups(groups: list[Group], transfer: TransferSettings) -> tuple[list[dict[str, Any]], list[float]]:
    """Parameter groups for torch's optimisers, and the epoch in which each begins. Biases and norms are not decayed
    (He et al., "Bag of tricks", CVPR 2019), nor is a network that `l2_sp` pulls elsewhere."""
    found, starts = [], []
    for group in groups:
        decay = transfer.weight_decay if group.head or not transfer.l2_sp else 0.0
        for own, strength in (([p for p in group.parameters if p.ndim > 1], decay), ([p for p in group.parameters if p.ndim <= 1], 0.0)):
            if own and group.start < transfer.epochs:
                found.append({"params": own, "lr": group.rate, "weight_decay": strength})
                starts.append(group.start)
    return found, starts


def rate_factors(starts: list[float], steps: int, transfer: TransferSettings) -> list[Callable[[int], float]]:
    """One factor of the peak rate per parameter group: the common schedule, times an own rise where it starts later."""
    per_epoch = steps // transfer.epochs
    rise = max(1, round(transfer.warmup * steps))

    def factor(start: int) -> Callable[[int], float]:
        def at(step: int) -> float:
            own = min(1.0, (step - start + 1) / rise) if start else 1.0
            return rate_factor(step, steps, transfer.warmup) * max(0.0, own)

        return at

    return [factor(int(start) * per_epoch) for start in starts]


def rate_factor(step: int, steps: int, warmup: float) -> float:
    """Linear rise over the first `warmup` share of the steps, then half a cosine to zero; in (0, 1]."""
    rise = max(1, round(warmup * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rise) / max(1, steps - rise))))


def sentence(groups: list[Group], transfer: TransferSettings) -> str:
    """`the head and 3 of 8 stages learn`, for the terminal."""
    if not any(group.head for group in groups):
        ever = sum(bool(group.parameters) and group.start < transfer.epochs for group in groups)
        return f"batch norms alone learn, in {ever} of {len(groups)} stages"
    stages = [group.start for group in groups if not group.head]
    ever = sum(start < transfer.epochs for start in stages)
    text = f"the head and {ever if ever < len(stages) else 'all'} of {len(stages)} stages learn"
    if transfer.strategy == "gradual":
        text += f", one more every {transfer.unfreeze_every} epochs" if transfer.unfreeze_every > 1 else ", one more every epoch"
    return text


def is_batch_norm(module: nn.Module) -> bool:
    """Also timm's fused norm-activations, which are subclasses."""
    return isinstance(module, nn.modules.batchnorm._BatchNorm)
