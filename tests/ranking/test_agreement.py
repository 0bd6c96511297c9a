"""Kendall's tau and its p value against scipy; distances of normals against numerical integration."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import kendalltau, norm

from medtl.ranking.agreement import agreement
from medtl.ranking.distance import Layer, distance, hellinger


@given(st.permutations(range(6)))
def test_without_ties_as_scipy_exactly(order: list[int]) -> None:
    found = agreement(range(6), order)
    reference = kendalltau(range(6), order, method="exact")
    assert found is not None
    assert found.tau == pytest.approx(reference.statistic)
    assert found.p == pytest.approx(min(1.0, reference.pvalue))


def test_with_ties_every_order_is_tried() -> None:
    scores, truth = [1.0, 1.0, 2.0, 3.0, 4.0], [0.1, 0.3, 0.3, 0.2, 0.9]
    found = agreement(scores, truth)
    assert found is not None
    observed = kendalltau(scores, truth).statistic
    assert found.tau == pytest.approx(observed)
    taus = [kendalltau(scores, order).statistic for order in itertools.permutations(truth)]
    assert found.p == pytest.approx(np.mean([abs(tau) >= abs(observed) - 1e-9 for tau in taus]))


def test_many_candidates_are_sampled() -> None:
    truth = np.random.default_rng(0).permutation(12)
    found = agreement(range(12), truth)
    assert found is not None
    assert found.p == pytest.approx(kendalltau(range(12), truth, method="exact").pvalue, abs=0.02)


def test_what_cannot_be_compared() -> None:
    assert agreement([1, 2], [1, 2]) is None
    assert agreement([1, 1, 1], [1, 2, 3]) is None
    found = agreement([1, 2, 3, np.nan], [1, 2, 3, 4])
    assert found is not None
    assert (found.n, found.tau) == (3, 1.0)
    assert found.least_p == pytest.approx(1 / 3) == pytest.approx(found.p)


@pytest.mark.parametrize(("mean", "variance"), [(0.0, 1.0), (1.5, 0.3), (-4.0, 2.0)])
def test_hellinger_by_integration(mean: float, variance: float) -> None:
    def overlap(x: float) -> float:
        return float(np.sqrt(norm.pdf(x) * norm.pdf(x, mean, np.sqrt(variance))))

    reference = np.sqrt(1 - quad(overlap, -30, 30, points=[0, mean])[0])
    ours = hellinger(np.zeros(1), np.ones(1), np.array([mean]), np.array([variance]))
    assert ours[0] == pytest.approx(reference, abs=1e-6)


def test_distance_is_between_0_and_1_and_grows() -> None:
    def moved(by: float) -> list[Layer]:
        return [Layer(np.zeros(3), np.ones(3), np.full(3, by), np.ones(3)), Layer(np.zeros(2), np.zeros(2), np.zeros(2), np.zeros(2))]

    values = [distance(moved(by)) for by in (0.0, 0.5, 2.0, 100.0)]
    assert values[0] == 0.0
    assert values == sorted(values, key=float)  # type: ignore[arg-type]
    assert values[-1] == pytest.approx(0.5), "one layer is as far as can be, the dead one does not count as different"
    assert distance([]) is None
