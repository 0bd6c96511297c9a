"""Images of a batch mixed in pairs, and with them their labels: mixup (Zhang et al., ICLR 2018), cutmix (Yun et al., ICCV 2019)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Mixed(NamedTuple):
    """The loss of a mixed batch is `share · loss(targets) + (1 - share) · loss(others)`."""

    images: Tensor
    others: Tensor
    """(B,) or (B, K): the labels that were mixed in."""
    share: float
    """How much of each image is still its own, in [0, 1]."""


def mix(images: Tensor, targets: Tensor, mixup: float, cutmix: float, key: tuple[int, int]) -> Mixed:
    """Mix (B, C, H, W) with a shuffled copy of itself; pairing, way and share are drawn from `key` (two numbers ≥ 0) alone.

    `mixup`, `cutmix`: parameters of the Beta distribution of the share; where both are above 0, either with probability 1/2.
    """
    chance = np.random.Generator(np.random.Philox(key=list(key)))
    order = torch.from_numpy(chance.permutation(len(images))).to(images.device)
    cut = cutmix > 0 and (mixup == 0 or chance.random() < 0.5)
    share = float(chance.beta(cutmix, cutmix) if cut else chance.beta(mixup, mixup))
    if not cut:
        return Mixed(images * share + images[order] * (1 - share), targets[order], share)
    height, width = images.shape[2:]
    rows, columns = _span(height, share, chance), _span(width, share, chance)
    mixed = images.clone()
    mixed[:, :, rows, columns] = images[order][:, :, rows, columns]
    pasted = (rows.stop - rows.start) * (columns.stop - columns.start)
    return Mixed(mixed, targets[order], 1 - pasted / (height * width))


def _span(side: int, share: float, chance: np.random.Generator) -> slice:
    """A stretch of sqrt(1 - share) of the side around a uniform place, cut off at the border."""
    half, centre = side * np.sqrt(1 - share) / 2, chance.integers(side)
    return slice(max(0, round(centre - half)), min(side, round(centre + half)))
