"""A discriminator that learns to tell the domains apart, and the gradient that the features get from it, reversed (Ganin 2016)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits


def discriminator(dim: int, hidden: int, seed: int) -> nn.Module:
    """(B, dim) → (B, 1), the logit of "this is the source", with one hidden layer; its start depends on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, 1))


def ramp(progress: float) -> float:
    """From 0 to almost 1: `2 / (1 + exp(-10 · progress)) - 1`."""
    return 2 / (1 + math.exp(-10 * progress)) - 1


def reversed_gradient(features: Tensor, factor: float) -> Tensor:
    """The features as they are, whose gradient is `-factor` times what arrives."""
    return features.detach() * (1 + factor) - features * factor


def told_apart(source: Tensor, target: Tensor, weights: tuple[Tensor | None, Tensor | None] = (None, None)) -> Tensor:
    """The cross-entropy of a discriminator's answers (A, 1) and (B, 1).

    Each domain counts half, whatever the sizes of its batches; `weights` (A,) and (B,), of mean 1, say how much each of its images counts.
    """
    losses = [
        binary_cross_entropy_with_logits(told.squeeze(1), torch.full_like(told.squeeze(1), truth), weight)
        for told, truth, weight in ((source, 1.0, weights[0]), (target, 0.0, weights[1]))
    ]
    return 0.5 * (losses[0] + losses[1])
