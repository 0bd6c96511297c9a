"""Probe, proxy A-distance and MMD against independent references."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist
from sklearn.linear_model import Ridge
from sklearn.metrics.pairwise import rbf_kernel

from medtl.shift.distances import RIDGE, Probe, direction, domain_probe, gaussian, median_distance, mmd_squared, mmds


def test_mmd_is_the_mean_over_pairs_of_different_rows() -> None:
    rng = np.random.default_rng(0)
    x, y, width = rng.normal(size=(7, 3)), rng.normal(0.5, 1, size=(5, 3)), 1.3
    kernel = [rbf_kernel(a, b, gamma=1 / (2 * width**2)) for a, b in ((x, x), (y, y), (x, y))]
    within = [(k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in kernel[:2]]
    assert mmd_squared(x, y, width) == pytest.approx(sum(within) - 2 * kernel[2].mean(), abs=1e-12)


def test_weights_of_whole_numbers_are_repeated_rows() -> None:
    """Up to the pairs of a row with its own copies, which are no pairs of different rows."""
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(9, 2))
    kernel = gaussian(rows, 1.0)
    near, far, weights = np.array([[0, 1, 2, 3]]), np.array([[5, 6, 7, 8]]), np.array([[1.0, 2.0, 1.0, 3.0]])
    share = weights[0] / weights.sum()
    own = kernel[np.ix_(near[0], near[0])]
    pairs = np.outer(share, share) * (1 - np.eye(4))
    ours = (pairs * own).sum() / pairs.sum()
    theirs = (kernel[5:, 5:].sum() - 4) / 12
    across = share @ kernel[np.ix_(near[0], far[0])].mean(axis=1)
    assert mmds(kernel, near, far, weights)[0] == pytest.approx(ours + theirs - 2 * across)


def test_the_width_is_the_median_distance() -> None:
    rows = np.random.default_rng(2).normal(size=(40, 3))
    assert median_distance(rows) == pytest.approx(np.median(pdist(rows)))
    assert median_distance(np.ones((5, 2))) == 1.0


def test_the_direction_is_that_of_a_balanced_ridge_regression() -> None:
    rng = np.random.default_rng(3)
    rows, far = rng.normal(size=(60, 4)), np.arange(60) >= 45
    rows[far] += [1, 0, -0.5, 0]
    weights = np.where(far, 0.5 / far.sum(), 0.5 / (~far).sum())
    centred = rows - weights @ rows
    pull = RIDGE * np.trace(centred.T @ (centred * weights[:, None])) / 4
    reference = Ridge(alpha=pull).fit(rows, np.where(far, 1.0, -1.0), sample_weight=weights)
    found = direction(rows, far)
    np.testing.assert_allclose(found[1:], reference.coef_, rtol=1e-8)
    assert found[0] == pytest.approx(reference.intercept_)


def test_proxy_a_distance_by_hand() -> None:
    assert [Probe(1.0, error).a_distance for error in (0.0, 0.25, 0.5, 0.6)] == [2.0, 1.0, 0.0, 0.0]


def test_a_probe_tells_far_domains_and_not_equal_ones() -> None:
    rng = np.random.default_rng(4)
    rows, groups = rng.normal(size=(400, 6)), np.arange(400) // 2
    apart = domain_probe(rows[:200], rows[200:] + 5, groups[:200], groups[200:])
    equal = domain_probe(rows[:200], rows[200:], groups[:200], groups[200:])
    assert apart.auroc == 1.0
    assert apart.a_distance == 2.0
    assert abs(equal.auroc - 0.5) < 0.1
    assert equal.a_distance < 0.3


def test_patients_are_not_learned_by_heart() -> None:
    """Many features, ten images a patient: by image the probe would know each patient again."""
    rng = np.random.default_rng(5)
    groups = np.repeat(np.arange(40), 10)
    rows = rng.normal(size=(40, 30)).repeat(10, axis=0) + 0.05 * rng.normal(size=(400, 30))
    by_patient = domain_probe(rows[:200], rows[200:], groups[:200], groups[200:])
    by_image = domain_probe(rows[:200], rows[200:], np.arange(200), np.arange(200, 400))
    assert by_image.auroc > 0.9
    assert by_patient.auroc < 0.75


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 10))
def test_mmd_does_not_change_when_all_rows_turn_or_the_sides_are_swapped(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(8, 3)), rng.normal(size=(6, 3))
    turned = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    assert mmd_squared(x, y) == pytest.approx(mmd_squared(y @ turned * scale, x @ turned * scale), abs=1e-9)
