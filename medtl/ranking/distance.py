"""How far the target's images lie from what a network learned on, without the source's data.

A batch norm remembers mean and variance of its inputs on the source's images. The same two numbers measured on the target's images
tell how unlike the source they are, channel by channel: the idea behind adapting batch norms (Li, Wang, Shi, Liu & Hou, "Revisiting Batch
Normalization For Practical Domain Adaptation", ICLR workshop 2017) and matching them without source data (Ishii & Sugiyama, "Source-free
Domain Adaptation via Distributional Alignment by Matching Batch Normalization Statistics", arXiv 2101.10842, 2021). Those use a KL
divergence, which a single dead channel can blow up; the Hellinger distance lies in [0, 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Layer:
    """Statistics of one batch norm's input, (C,) each."""

    source_mean: Floats
    source_variance: Floats
    target_mean: Floats
    target_variance: Floats


def hellinger(mean: Floats, variance: Floats, other_mean: Floats, other_variance: Floats) -> Floats:
    """(C,) Hellinger distances of normal distributions, in [0, 1]; variances above 0.

    >>> hellinger(np.zeros(1), np.ones(1), np.zeros(1), np.ones(1)).tolist()
    [0.0]
    """
    both = variance + other_variance
    overlap = np.sqrt(2 * np.sqrt(variance * other_variance) / both) * np.exp(-((mean - other_mean) ** 2) / (4 * both))
    return np.asarray(np.sqrt(np.maximum(1 - overlap, 0)))


def distance(layers: Sequence[Layer], least_variance: float = 1e-5) -> float | None:
    """The mean over layers of the mean over channels, in [0, 1]; 0: the target looks to the network as its source did. None without layers.

    least_variance is added to every variance, as batch norms themselves do: a channel that is constant on both sides is no difference.
    """
    if not layers:
        return None
    each = [
        hellinger(
            layer.source_mean, layer.source_variance + least_variance, layer.target_mean, layer.target_variance + least_variance
        ).mean()
        for layer in layers
    ]
    return float(np.mean(each))
