"""DAN: its discrepancy against a plain double loop, nothing in expectation where nothing differs, and a planted shift."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from medtl.adaptation.methods import dan
from medtl.paper.references import cite


def by_loops(source: np.ndarray, target: np.ndarray) -> float:
    """The unbiased squared MMD, pair by pair."""
    both = [*source, *target]
    distances = sorted(float(np.sum((x - y) ** 2)) for i, x in enumerate(both) for y in both[:i])
    median = distances[(len(distances) - 1) // 2]

    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        return sum(math.exp(-float(np.sum((x - y) ** 2)) / (factor * median)) for factor in (1 / 4, 1 / 2, 1, 2, 4)) / 5

    def within(rows: np.ndarray) -> float:
        return sum(kernel(x, y) for i, x in enumerate(rows) for j, y in enumerate(rows) if i != j) / (len(rows) * (len(rows) - 1))

    return within(source) + within(target) - 2 * sum(kernel(x, y) for x in source for y in target) / (len(source) * len(target))


@pytest.mark.parametrize(("a", "b"), [(12, 7), (2, 9)])
def test_the_discrepancy_is_that_of_a_double_loop(a, b):
    rng = np.random.default_rng(0)
    source, target = rng.normal(size=(a, 5)) + 100, 2 * rng.normal(size=(b, 5)) + 101
    assert dan.discrepancy(torch.tensor(source), torch.tensor(target)).item() == pytest.approx(by_loops(source, target), abs=1e-12)
    single = dan.discrepancy(torch.tensor(source).float(), torch.tensor(target).float()).item()
    assert single == pytest.approx(by_loops(source, target), abs=1e-4), "far from the origin, in the digits of training"


def test_it_is_nothing_in_expectation_where_nothing_differs_and_sees_more_than_moments():
    rng = np.random.default_rng(1)
    drawn = [dan.discrepancy(*torch.tensor(rng.normal(size=(2, 16, 4)))).item() for _ in range(400)]
    assert abs(np.mean(drawn)) < 3 * np.std(drawn) / 20
    points = torch.zeros(16, 2, dtype=torch.float64)
    assert dan.discrepancy(points, points + torch.tensor([1.0, 0.0])).item() == pytest.approx(2 - 2 * by_kernel(1.0), abs=1e-12)
    tails = torch.tensor(rng.normal(size=(200, 1))), torch.tensor(rng.choice([-1.0, 1.0], size=(200, 1)))
    assert dan.discrepancy(*tails).item() > 0.05, "equal means and spreads, another shape"


def by_kernel(squared_by_median: float) -> float:
    return sum(math.exp(-squared_by_median / factor) for factor in (1 / 4, 1 / 2, 1, 2, 4)) / 5


def test_a_batch_of_one_and_features_that_are_all_alike_stay_finite():
    for source, target in [(torch.randn(1, 3), torch.randn(1, 3)), (torch.ones(4, 3), torch.ones(4, 3))]:
        source.requires_grad_()
        dan.discrepancy(source, target).backward()
        assert torch.isfinite(source.grad).all()


def test_it_repairs_a_shift_of_what_tells_the_classes_and_spares_identical_domains(accuracy_there):
    assert accuracy_there(None, 4.0) < 0.65
    assert accuracy_there(dan, 4.0) > 0.9
    assert accuracy_there(dan, 0.0) == pytest.approx(accuracy_there(None, 0.0), abs=0.02)


def test_its_paper_is_known():
    assert cite("adaptation.methods.dan") == " [@long2015]"
