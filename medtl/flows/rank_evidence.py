"""What a candidate shows on the images at hand before any training: features, the source's own answers, statistics, seconds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from medtl.backbones.head import linear_head
from medtl.backbones.network import Network, build_network
from medtl.backbones.weights import open_weights
from medtl.batches import Part
from medtl.experiment.schema import Experiment
from medtl.features import cached_features
from medtl.flows.rank_candidates import Candidate
from medtl.flows.rank_tuning import starting_from
from medtl.flows.rehearsal import Rehearsal, rehearse
from medtl.imaging.cache import cache_dir
from medtl.imaging.store import Store
from medtl.model import format as package_format
from medtl.model.seen import read_seen, truncated
from medtl.module.classifier import as_input
from medtl.ranking.distance import Layer
from medtl.ranking.leep import MOST_FINDINGS, sets_of_findings
from medtl.terminal import Line

STATISTICS_IMAGES = 256
"""So many images tell the statistics of every batch norm's input: thousands of values per channel."""
BATCH = 32


def network_of(candidate: Candidate, experiment: Experiment, root: Path) -> Network:
    """On the experiment's device. Raises MedtlError where the weights cannot be had or do not fit."""
    network = build_network(candidate.backbone, experiment.image, root, experiment.seed, candidate.pretrained)
    return network.to(device=experiment.trainer.device, memory_format=torch.channels_last)


def features_of(network: Network, store: Store, positions: NDArray[np.int64], line: Line, name: str) -> Tensor:
    """(N, D) of the images at `positions`, from the cache that training uses."""
    return cached_features(network, store, positions, network.mean.device, cache_dir(), line.progress(f"{name}: features"))


def source_answers(candidate: Candidate, features: Tensor, root: Path) -> tuple[NDArray[np.float64] | None, str]:
    """(N, Z) probabilities of the source's classes, or of every set of its findings; else None, and why."""
    if not candidate.pretrained:
        return None, "random weights have no source task"
    head = linear_head(candidate.backbone, open_weights(candidate.backbone, root), features.shape[1])
    if head is None:
        return None, "the weights come without their head, or with one that is not one linear layer on the features"
    if candidate.package is None:
        return head.probabilities(features).double().numpy(), ""
    package = package_format.read(candidate.package)
    shift = np.repeat(package.prior_shift[0], package.task.outputs)  # what its loss and sampler added is undone, as in its answers
    head = replace(head, bias=head.bias - torch.from_numpy(shift).to(head.bias))
    if package.task.kind == "single":
        return head.probabilities(features).double().numpy(), ""
    present = head.findings(features).double().numpy()
    if present.shape[1] > MOST_FINDINGS:
        return None, f"the source's {present.shape[1]} findings have more than 1,000 sets, which would fit any labels by chance"
    return sets_of_findings(present), ""


def seen_images(candidate: Candidate, store: Store) -> int:
    """How many of the store's images a package has learned from."""
    hashes = read_seen(candidate.package) if candidate.package is not None else None
    return sum(truncated(each) in hashes for each in store.measurements["pixel_hash"] if each) if hashes else 0


def batch_norm_statistics(network: Network, store: Store, positions: NDArray[np.int64]) -> list[Layer]:
    """Of every batch norm: what it remembers of its source, and what the images at `positions` (some of them) give it."""
    some = positions[np.unique(np.linspace(0, len(positions) - 1, min(STATISTICS_IMAGES, len(positions))).astype(int))]
    norms = [layer for layer in network.modules() if isinstance(layer, _BatchNorm) and layer.running_mean is not None]
    sums = {id(layer): np.zeros((3, layer.num_features)) for layer in norms}
    network.eval()
    with torch.inference_mode(), _listening(norms, sums):
        for start in range(0, len(some), BATCH):
            images = torch.from_numpy(store.read(some[start : start + BATCH])).to(network.mean.device)
            network.features(as_input(images))
    layers = []
    for layer in norms:
        count, total, squares = sums[id(layer)]
        if count.all() and layer.running_mean is not None and layer.running_var is not None:
            mean = total / count
            variance = np.maximum(squares / count - mean**2, 0)
            layers.append(Layer(layer.running_mean.double().cpu().numpy(), layer.running_var.double().cpu().numpy(), mean, variance))
    return layers


@contextmanager
def _listening(norms: list[_BatchNorm], sums: dict[int, NDArray[np.float64]]) -> Iterator[None]:
    """While it lasts, count, sum and sum of squares per channel of what reaches each batch norm are added to `sums` (3, C)."""

    def heard(layer: nn.Module, given: tuple[Tensor, ...]) -> None:
        values = given[0].double().transpose(0, 1).flatten(1)
        sums[id(layer)] += (
            torch.stack([torch.full_like(values[:, 0], values.shape[1]), values.sum(1), values.square().sum(1)]).cpu().numpy()
        )

    handles = [layer.register_forward_pre_hook(heard) for layer in norms]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def seconds(candidate: Candidate, experiment: Experiment, store: Store, train: Part, root: Path) -> Rehearsal:
    """Of a few forward and training steps with this network here."""
    return rehearse(starting_from(experiment, candidate, "full"), store, train, root)
