"""Intervals against statsmodels, published values and simulation: they hold the truth as often as they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from statsmodels.stats.proportion import proportion_confint

from medtl.evaluation import intervals, ranking
from medtl.evaluation.intervals import Interval


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_statsmodels(case: tuple[int, int]):
    hits, n = case
    assert intervals.wilson(hits / n, n) == pytest.approx(proportion_confint(hits, n, method="wilson"), abs=1e-12)


def test_images_of_their_own_are_independent():
    hits = np.random.default_rng(0).random(200) < 0.7
    assert intervals.effective_cases(hits, np.arange(200)) == pytest.approx(200)


def test_design_effect_by_hand():
    """20 groups of two that agree (10 right, 10 wrong) are 20 cases; 20 pairs of one right and one wrong are no evidence of spread."""
    groups = np.repeat(np.arange(20), 2)
    assert intervals.effective_cases(groups < 10, groups) == pytest.approx(20)
    assert intervals.effective_cases(np.tile([True, False], 20), groups) == pytest.approx(20)


def test_a_flawless_share_counts_groups_not_images():
    """3 patients with 5 images each, all right: Wilson for 3 of 3, not 15 of 15."""
    n = intervals.effective_cases(np.ones(15), np.repeat([0, 1, 2], 5))
    assert intervals.wilson(1.0, n) == pytest.approx(proportion_confint(3, 3, method="wilson"))


@given(st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=2, max_size=40), st.integers(2, 6))
def test_repeating_rows_within_groups_changes_nothing(rows: list[tuple[int, bool]], times: int):
    groups, hits = (np.array(column) for column in zip(*rows, strict=True))
    once = intervals.effective_cases(hits, groups)
    assert intervals.effective_cases(np.repeat(hits, times), np.repeat(groups, times)) == pytest.approx(once)


@pytest.mark.parametrize(("groups", "size", "share"), [(4, 5, 0.9), (30, 1, 0.95), (30, 5, 0.6), (100, 2, 0.9), (100, 5, 0.98)])
@pytest.mark.parametrize("dependence", [0.0, 0.3, 0.99])
def test_shares_hold_the_truth(groups: int, size: int, share: float, dependence: float):
    random, held, runs = np.random.default_rng(7), 0, 400
    members = np.repeat(np.arange(groups), size)
    for _ in range(runs):
        spread = share * (1 / max(dependence, 1e-9) - 1), (1 - share) * (1 / max(dependence, 1e-9) - 1)
        of_group = random.beta(*spread, groups)
        hits = random.random(groups * size) < of_group[members]
        low, high = intervals.wilson(hits.mean(), intervals.effective_cases(hits, members))
        held += low <= share <= high
    assert held / runs >= 0.92  # nominal 0.95; three standard errors of 400 runs


@pytest.mark.parametrize(("positives", "negatives"), [(3, 40), (10, 10), (10, 100), (100, 200)])
@pytest.mark.parametrize("auroc", [0.7, 0.9, 0.995])
def test_auroc_interval_holds_the_truth_where_the_bootstrap_cannot(positives: int, negatives: int, auroc: float):
    random, held, runs = np.random.default_rng(8), 0, 300
    truth = np.repeat([1, 0], [positives, negatives])
    for _ in range(runs):
        scores = random.normal(size=truth.size) + truth * np.sqrt(2) * norm.ppf(auroc)
        low, high = intervals.auroc_interval(ranking.auroc(truth, np.column_stack([-scores, scores])), positives, negatives)
        held += low <= auroc <= high
    assert held / runs >= 0.91


def test_auroc_interval_solves_its_equation():
    """At its ends the observed value lies 1.96 of the end's own (Hanley-McNeil, Newcombe's mean size) standard errors away."""
    m, n, observed = 25, 60, 0.85
    for theta in intervals.auroc_interval(observed, m, n):
        spare = (m + n) / 2 - 1
        variance = theta * (1 - theta) * (1 + spare * ((1 - theta) / (2 - theta) + theta / (1 + theta))) / (m * n)
        assert abs(observed - theta) / np.sqrt(variance) == pytest.approx(norm.ppf(0.975), rel=1e-6)


@given(st.floats(0, 1), st.integers(1, 50), st.integers(1, 50))
def test_auroc_interval_is_never_a_point(auroc: float, positives: int, negatives: int):
    low, high = intervals.auroc_interval(auroc, positives, negatives)
    assert 0 <= low <= auroc <= high <= 1
    assert high - low > 0.01


def test_a_perfect_auroc_is_less_sure_with_fewer_cases():
    lows = [intervals.auroc_interval(1.0, n, n).low for n in (5, 20, 100, 1000)]
    assert lows == sorted(lows)
    assert lows[0] < 0.75
    assert 0.99 < lows[-1] < 1


def test_mean_of_independent_estimates():
    """Half widths add like standard errors: two of ±0.1 give a mean of ±0.1/√2; one alone is its own interval."""
    low, high = intervals.of_mean([0.5, 0.7], [Interval(0.4, 0.6), Interval(0.6, 0.8)])
    assert (low, high) == pytest.approx((0.6 - 0.1 / 2**0.5, 0.6 + 0.1 / 2**0.5))
    assert intervals.of_mean([0.9], [Interval(0.7, 0.95)]) == pytest.approx((0.7, 0.95))
    low, high = intervals.of_mean([0.5, 0.7], [Interval(0.4, 0.6), Interval(0.6, 0.8)], weights=[3, 1])
    assert (low, high) == pytest.approx((0.55 - 0.1 * 10**0.5 / 4, 0.55 + 0.1 * 10**0.5 / 4))


def test_percentiles_reach_further_for_few_groups():
    drawn = np.random.default_rng(0).normal(size=20000)
    assert intervals.percentiles(drawn, 10**6) == pytest.approx((-1.96, 1.96), abs=0.06)
    assert intervals.percentiles(drawn, 10).high == pytest.approx(2.262 * (10 / 9) ** 0.5, abs=0.15)  # t of 9 degrees of freedom


def test_studentized_follows_the_skewness():
    skewed_left = -np.random.default_rng(0).exponential(size=5000)
    low, high = intervals.studentized(0.1, 0.02, skewed_left)
    assert high - 0.1 > 5 * abs(0.1 - low)
    assert intervals.studentized(0.1, 0.02, np.array([-np.inf] * 10 + [1.0] * 90)).high == np.inf
