"""Two hospitals in a plane, and a network that learns from the labels of one of them."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from medtl.adaptation.step import Step

N, STEPS = 60, 120


def hospital(seed: int, shift: float) -> tuple[torch.Tensor, torch.Tensor]:
    """(N, 2) and classes: the first column tells them clearly, but is shifted; the second tells them less clearly everywhere."""
    rng = np.random.default_rng(seed)
    labels = np.arange(N) % 2
    signs = 2 * labels - 1
    columns = np.stack([2 * signs + 0.5 * rng.normal(size=N) + shift, signs + 0.6 * rng.normal(size=N)], axis=1)
    return torch.tensor(columns, dtype=torch.float32), torch.tensor(labels)


@pytest.fixture
def accuracy_there() -> Callable[[ModuleType | None, float], float]:
    """`accuracy_there(method, shift)`: of a linear network on other images of the target, trained beside it; None: on the source alone."""

    def trained(method: ModuleType | None, shift: float) -> float:
        source, labels = hospital(0, 0.0)
        target, _ = hospital(1, shift)
        torch.manual_seed(0)
        network, head = nn.Linear(2, 2), nn.Linear(2, 2)
        penalty = None if method is None else method.build(method.Settings(), 2, 2, 0)
        beside = [] if penalty is None else [*penalty.parameters()]
        learns = torch.optim.Adam([*network.parameters(), *head.parameters(), *beside], 0.05)
        for number in range(STEPS):
            features, others = network(source), network(target)
            loss = cross_entropy(head(features), labels)
            if penalty is not None:
                loss = loss + penalty(Step(features, head(features), others, head(others), torch.arange(N), number / STEPS))
            learns.zero_grad()
            loss.backward()
            learns.step()
        judged, truth = hospital(2, shift)
        return float((head(network(judged)).argmax(dim=1) == truth).float().mean())

    return trained
