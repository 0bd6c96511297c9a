"""Obuchowski's variance: DeLong's where images are alone, a table worked by hand, the truth held over clustered images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from medtl.evaluation import delong


def pairs(positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    """(P, M) 1 where the positive scores higher, a half where alike: every pair by itself."""
    return (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)


@given(st.lists(st.integers(0, 6), min_size=2, max_size=15), st.lists(st.integers(0, 6), min_size=2, max_size=15))
def test_images_of_their_own_give_delongs_variance(positive: list[int], negative: list[int]):
    """Sen's components from all pairs (DeLong et al. 1988, equation 5)."""
    matrix = pairs(np.array(positive), np.array(negative))
    expected = matrix.mean(axis=1).var(ddof=1) / len(positive) + matrix.mean(axis=0).var(ddof=1) / len(negative)
    side, score = np.repeat([True, False], [len(positive), len(negative)]), np.array(positive + negative)
    area, error = delong.clustered_error(side, score, np.arange(len(side)))
    assert area == pytest.approx(roc_auc_score(side, score))
    assert error**2 == pytest.approx(expected, abs=1e-12)


def test_clusters_from_all_pairs():
    """Obuchowski 1997, equations 3 to 6, written out over the groups."""
    random = np.random.default_rng(0)
    groups, side = random.integers(0, 12, 60), random.random(60) < 0.4
    score = random.normal(size=60).round(1) + side
    matrix = pairs(score[side], score[~side])
    area, m, n = matrix.mean(), *matrix.shape
    of_positive, of_negative, everyone = groups[side], groups[~side], np.unique(groups)
    v10, v01 = matrix.mean(axis=1), matrix.mean(axis=0)
    x = np.array([v10[of_positive == g].sum() - (of_positive == g).sum() * area for g in everyone])
    y = np.array([v01[of_negative == g].sum() - (of_negative == g).sum() * area for g in everyone])
    i10, i01, i = len(set(of_positive)), len(set(of_negative)), len(everyone)
    s10, s01 = i10 / ((i10 - 1) * m) * (x @ x), i01 / ((i01 - 1) * n) * (y @ y)
    s11 = i / (i - 1) * (x @ y)
    expected = s10 / m + s01 / n + 2 * s11 / (m * n)
    found = delong.clustered_error(side, score, groups)
    assert found == pytest.approx((area, np.sqrt(expected)))
    order = random.permutation(60)
    assert delong.clustered_error(side[order], score[order], 100 - groups[order]) == pytest.approx(found)


def test_by_hand():
    """Positives 3, 2 (one group), 4 (another), negatives 1, 2 (two groups): 5.5 of 6 pairs; worked on paper."""
    area, error = delong.clustered_error([1, 1, 1, 0, 0], [3, 2, 4, 1, 2], [0, 0, 1, 2, 3])
    assert area == pytest.approx(5.5 / 6)
    up, down = np.array([1 + 0.75 - 2 * area, 1 - area]), np.array([1 - area, 2.5 / 3 - area])
    assert error**2 == pytest.approx(2 * up @ up / 9 + 2 * down @ down / 4)


@pytest.mark.parametrize(("groups", "size", "auroc"), [(40, 3, 0.85), (120, 2, 0.8)])
def test_the_interval_holds_the_truth(groups: int, size: int, auroc: float):
    random, held, runs = np.random.default_rng(5), 0, 300
    members = np.repeat(np.arange(groups), size)
    for _ in range(runs):
        side = np.repeat(random.random(groups) < 0.4, size)
        noise = np.repeat(random.normal(size=groups), size) * np.sqrt(0.7) + random.normal(size=groups * size) * np.sqrt(0.3)
        area, error = delong.clustered_error(side, noise + side * np.sqrt(2) * norm.ppf(auroc), members)
        fewest = min(int(side.sum()), int((~side).sum())) // size
        low, high = delong.interval(area, error, fewest)
        held += low <= auroc <= high
    assert held / runs >= 0.91  # nominal 0.95; three standard errors of 300 runs


def test_one_group_on_a_side_and_flawless_ranks_know_no_error():
    assert np.isnan(delong.clustered_error([1, 1, 0, 0], [3, 4, 1, 2], [0, 0, 1, 2])[1])
    area, error = delong.clustered_error([1, 1, 0, 0], [3, 4, 1, 2], [0, 1, 2, 3])
    assert (area, error) == (1, 0)
    assert delong.interval(area, error, 2) == (0, 1)
