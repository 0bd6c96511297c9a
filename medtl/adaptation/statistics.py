"""Statistics of batch norms, re-estimated on the images of one domain (Li et al., Pattern Recognition 2018)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

Norms = Sequence[nn.modules.batchnorm._BatchNorm]


def norms_of(network: nn.Module) -> Norms:
    """All batch norms that keep running averages."""
    kind = nn.modules.batchnorm._BatchNorm
    return [module for module in network.modules() if isinstance(module, kind) and module.running_mean is not None]


def re_estimate(network: nn.Module, norms: Norms, batches: Iterable[Tensor], weight: float = 1.0) -> None:
    """Give `norms` the means and variances of these images (B, C, S, S), the rest of the network in evaluation mode, in which it is left.

    Batches count by their size; each layer sees the layers below with the batch's statistics. `weight`: the share of the new ones.
    """
    network.eval()
    before = [(norm.running_mean.clone(), norm.running_var.clone(), norm.momentum) for norm in norms]
    for norm in norms:
        norm.train()
        norm.reset_running_stats()
    seen = 0
    with torch.no_grad():
        for images in batches:
            seen += len(images)
            for norm in norms:
                norm.momentum = len(images) / seen
            network(images)
    for norm, (mean, variance, momentum) in zip(norms, before, strict=True):
        norm.running_mean.lerp_(mean, 1 - weight)
        norm.running_var.lerp_(variance, 1 - weight)
        norm.momentum = momentum
    network.eval()


@contextmanager
def statistics_of(network: nn.Module, norms: Norms, batches: Iterable[Tensor]) -> Iterator[None]:
    """For the block, `norms` have the statistics of these images; afterwards their own again."""
    kept = [{name: buffer.clone() for name, buffer in norm.named_buffers()} for norm in norms]
    if norms:
        re_estimate(network, norms, batches)
    yield
    for norm, buffers in zip(norms, kept, strict=True):
        for name, buffer in norm.named_buffers():
            buffer.copy_(buffers[name])


@contextmanager
def unmoved(norms: Norms) -> Iterator[None]:
    """For the block, training leaves the running averages of `norms` as they are."""
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    yield
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
