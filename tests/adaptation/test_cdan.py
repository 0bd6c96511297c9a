"""CDAN+E: its parts against plain numpy, a shift of each class by itself, to which DANN is blind, and identical domains."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from medtl.adaptation.methods import cdan, dann
from medtl.adaptation.step import Step
from medtl.paper.references import cite


def drawn(rows: int, dim: int, classes: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Features and logits."""
    made = torch.Generator().manual_seed(seed)
    return torch.randn(rows, dim, generator=made), torch.randn(rows, classes, generator=made)


def by_loops(step: Step, weights: list[np.ndarray]) -> float:
    """What the discriminator of these weights (hidden, D · K), (hidden,), (1, hidden), (1,) loses, image by image."""
    total = 0.0
    for features, logits, truth in ((step.features, step.logits, 1), (step.target_features, step.target_logits, 0)):
        losses, counts = [], []
        for row, answers in zip(features.detach().double().numpy(), logits.detach().double().numpy(), strict=True):
            p = np.exp(answers) / np.exp(answers).sum()
            seen = np.outer(p, row).ravel()
            told = (weights[2] @ np.maximum(weights[0] @ seen + weights[1], 0) + weights[3]).item()
            losses.append(math.log(1 + math.exp(-told if truth else told)))
            counts.append(1 + math.exp(sum(x * math.log(x) for x in p)))
        total += np.average(losses, weights=counts) / 2
    return total


def test_the_penalty_is_that_of_plain_loops():
    (features, logits), (others, answers) = drawn(8, 5, 3), drawn(6, 5, 3, seed=1)
    penalty = cdan.build(cdan.Settings(hidden=4), 5, 3, 0)
    step = Step(features, logits, others, answers, torch.arange(6), 0.5)
    weights = [each.detach().double().numpy() for each in penalty.parameters()]
    assert penalty(step).item() == pytest.approx(by_loops(step, weights), rel=1e-5)


def test_the_gradient_reaches_the_features_alone_and_reversed():
    (features, logits), (others, answers) = drawn(8, 5, 3), drawn(6, 5, 3, seed=1)
    for each in (features, logits, others, answers):
        each.requires_grad_()
    penalty = cdan.build(cdan.Settings(), 5, 3, 0)
    value = penalty(Step(features, logits, others, answers, torch.arange(6), 0.9))
    value.backward()
    assert logits.grad is None
    assert answers.grad is None
    with torch.no_grad():
        worse = penalty(Step(features - features.grad, logits, others - others.grad, answers, torch.arange(6), 0.9))
    assert worse > value, "the network descends, and the discriminator loses more"


def test_a_random_projection_keeps_inner_products_where_products_are_too_many():
    features, logits = drawn(6, 40, 7)
    p = logits.softmax(dim=1)
    exact = cdan.products(features, p) @ cdan.products(features, p).T
    made = torch.Generator().manual_seed(0)
    maps = [torch.randn(size, 40_000, generator=made) for size in (40, 7)]
    projected = cdan.projection(features, p, *maps)
    np.testing.assert_allclose((projected @ projected.T).numpy(), exact.numpy(), atol=0.06 * exact.max().item())


def test_a_network_with_many_features_and_classes_has_a_projection_that_the_seed_draws():
    few, many, again = (cdan.build(cdan.Settings(), dim, 8, 3) for dim in (512, 513, 513))
    assert few.learner[0].in_features == 4096
    assert many.learner[0].in_features == 1024
    torch.testing.assert_close(many.state_dict(), again.state_dict())
    (features, logits), (others, answers) = drawn(4, 513, 8), drawn(4, 513, 8, seed=1)
    features.requires_grad_()
    many(Step(features, logits, others, answers, torch.arange(4), 0.5)).backward()
    assert torch.isfinite(features.grad).all()
    assert len(list(many.parameters())) == 4, "the projection does not learn"


def exchanged() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Source, target (200, 4) and what both are answered (200, 2): in the first column the classes have changed places, so that all images
    together are as before; the answers come from elsewhere."""
    rng, signs = np.random.default_rng(0), 2 * (np.arange(200) % 2) - 1
    source = np.column_stack([signs + 0.3 * rng.normal(size=200), rng.normal(size=(200, 3))])
    order = np.argsort(signs)
    target = np.empty_like(source)
    target[order] = source[order[::-1]]  # the same rows, of the other class
    return *(torch.tensor(each, dtype=torch.float32) for each in (source, target)), torch.tensor(np.outer(signs, [-4.0, 4.0])).float()


@pytest.mark.parametrize(("method", "sees"), [(cdan, True), (dann, False)])
def test_its_discriminator_sees_a_shift_of_each_class_that_the_features_alone_do_not_show(method, sees):
    source, target, answers = exchanged()
    penalty = method.build(method.Settings(hidden=16), 4, 2, 0)
    learns = torch.optim.Adam(penalty.parameters(), 0.02)
    for _ in range(150):
        learns.zero_grad()
        told = penalty(Step(source, answers, target, answers, torch.arange(200), 0.5))
        told.backward()
        learns.step()
    assert told.item() < 0.1 if sees else told.item() == pytest.approx(math.log(2), abs=0.01)


def test_it_mends_such_a_shift():
    """A linear map that can drop the one column in which the classes have changed places does so."""
    source, target, answers = exchanged()
    torch.manual_seed(0)
    network = nn.Linear(4, 4)
    nn.init.eye_(network.weight)
    penalty = cdan.build(cdan.Settings(hidden=16), 4, 2, 0)
    learns = torch.optim.Adam([*network.parameters(), *penalty.parameters()], 0.02)
    for number in range(200):
        features, others = network(source), network(target)
        keep = (features[:, 1:] - source[:, 1:]).square().mean() + (others[:, 1:] - target[:, 1:]).square().mean()
        learns.zero_grad()
        (penalty(Step(features, answers, others, answers, torch.arange(200), number / 200)) + keep).backward()
        learns.step()
    with torch.no_grad():
        of_class = [network(each)[answers[:, 1] > 0, 0] for each in (source, target)]
    assert abs(float(of_class[0].mean() - of_class[1].mean())) < 0.7 * float(torch.cat(of_class).std()), "about twice it before"


def test_it_spares_identical_domains(accuracy_there):
    assert accuracy_there(cdan, 0.0) == pytest.approx(accuracy_there(None, 0.0), abs=0.02)


def test_its_paper_is_known():
    assert cite("adaptation.methods.cdan") == " [@long2018]"
