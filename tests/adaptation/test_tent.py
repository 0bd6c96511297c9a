"""Tent: its entropy against plain numpy, a planted shift, and identical domains. A whole fit: tests/training/test_tent.py."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from medtl.adaptation.methods import tent
from medtl.adaptation.step import Step
from medtl.paper.references import cite


def test_the_penalty_is_the_mean_entropy_of_the_answers():
    logits = np.random.default_rng(0).normal(size=(7, 3))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = np.mean([-sum(x * math.log(x) for x in row) for row in p])
    assert tent.entropy(torch.tensor(logits)).item() == pytest.approx(expected, rel=1e-12)
    assert tent.entropy(torch.zeros(4, 2)).item() == pytest.approx(math.log(2))
    assert tent.entropy(torch.tensor([[900.0, -900.0]])).item() == 0, "sure without limit, and no NaN"


def hospital(seed: int, ill: float) -> tuple[torch.Tensor, torch.Tensor]:
    """(400, 1) and classes, of which a share `ill` are 1: two groups, at -2 and 2."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(400) < 400 * ill
    return torch.tensor((4 * labels - 2 + 0.6 * rng.normal(size=400))[:, None], dtype=torch.float32), torch.tensor(labels)


def continued(norm: nn.BatchNorm1d, head: nn.Linear, target: torch.Tensor, rate: float) -> None:
    """By tent: of the norm, on batches of the target."""
    penalty = tent.build(tent.Settings(), 1, 2, 0)
    learns = torch.optim.Adam(norm.parameters(), rate)
    norm.train()
    for epoch in range(10):
        for places in torch.randperm(400, generator=torch.Generator().manual_seed(epoch)).split(50):
            learns.zero_grad()
            features = norm(target[places])
            penalty(Step(None, None, features, head(features), places, 0.5)).backward()
            learns.step()
    norm.eval()


@pytest.mark.parametrize(("gain", "offset", "ill"), [(0.3, 3.0, 0.85), (1.0, 0.0, 0.5)])
def test_it_repairs_what_statistics_alone_do_not_and_spares_identical_domains(gain, offset, ill):
    """Another exposure, where a class is also more frequent: the target's mean is no longer between the classes, but the gap still is."""
    torch.manual_seed(0)
    norm, head = nn.BatchNorm1d(1), nn.Linear(1, 2)
    source, _ = hospital(0, 0.5)
    target, truth = hospital(1, ill)
    target = gain * target + offset
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[-3.0], [3.0]]))
        head.bias.zero_()  # between the source's classes

    def right() -> float:
        return float((head(norm.eval()(target)).argmax(dim=1) == truth).float().mean())

    norm.momentum = None  # the plain mean of all batches
    norm.train()(source)
    before = right()
    norm.reset_running_stats()
    norm.train()(target)
    by_statistics = right()
    norm.momentum = 0.1
    continued(norm, head, target, 0.02)
    assert right() > 0.99
    assert (before > 0.99, by_statistics > 0.99) == ((True, True) if ill == 0.5 else (False, False))


def test_its_paper_is_known():
    assert cite("adaptation.methods.tent") == " [@wang2021]"
