"""Intervals over trainings and test groups: coverage by simulation, and the arithmetic of differences."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from medtl.evaluation.crossed import Repeated, crossed, holm, interval, p_value
from medtl.evaluation.intervals import Interval


def _world(chance: np.random.Generator, trainings: int, groups: int, of_training: float, of_group: float) -> Repeated:
    """A figure that is a mean over groups, of trainings that differ: truth 0."""
    shared = chance.normal(0, of_group, groups)
    own = chance.normal(0, of_training, trainings)
    drawn = shared[chance.integers(0, groups, (500, groups))].mean(axis=1)
    return Repeated(own + shared.mean(), own[:, None] + drawn[None], groups)


@pytest.mark.parametrize(("of_training", "of_group"), [(1.0, 0.1), (0.05, 3.0), (0.5, 2.0), (1.0, 0.001)])
def test_it_covers_the_truth_as_often_as_it_says(of_training, of_group):
    chance = np.random.default_rng(0)
    covered = [interval(_world(chance, 3, 60, of_training, of_group)) for _ in range(600)]
    share = np.mean([low <= 0 <= high for low, high in covered])
    assert 0.93 <= share <= 0.985


def test_three_trainings_alone_give_students_interval():
    values = np.array([0.7, 0.8, 0.9])
    found = interval(Repeated(values, np.repeat(values[:, None], 50, axis=1), 100))
    wanted = stats.t.interval(0.95, 2, loc=0.8, scale=stats.sem(values))
    assert found == pytest.approx(wanted)


def test_one_training_speaks_of_groups_alone():
    drawn = np.random.default_rng(0).normal(0.8, 0.05, (1, 100_000))
    low, high = interval(Repeated(np.array([0.8]), drawn, 1000))
    assert (low, high) == pytest.approx((0.8 - 1.96 * 0.05, 0.8 + 1.96 * 0.05), abs=0.002)


def test_what_patients_make_hard_for_both_cancels_out():
    shared = np.random.default_rng(0).normal(0.8, 0.1, 200)
    one, other = (Repeated(np.array([0.8, 0.8]) + gap, np.stack([shared, shared]) + gap, 50) for gap in (0.05, 0.0))
    assert interval(one.less(other)) == pytest.approx((0.05, 0.05))


def test_no_error_to_draw_is_no_certainty():
    perfect = crossed([1.0] * 3, [np.ones(50)] * 3, 12, [Interval(1 - 0.03 * 1.96, 1.0)] * 3)
    low, _ = interval(perfect)
    assert low == pytest.approx(1 - stats.t.ppf(0.975, 11) * 0.015, abs=1e-4)
    assert interval(perfect.less(perfect))[0] < 0
    other = Repeated(np.full(3, 0.9), np.tile(np.random.default_rng(0).normal(0.9, 0.01, 50), (3, 1)), 12)
    assert p_value(perfect.less(other)) > p_value(Repeated(np.ones(3), np.ones((3, 50)), 12).less(other))
    unknown = crossed([1.0], [np.ones(50)], 12, [Interval(float("nan"), float("nan"))])
    assert interval(unknown).low < 0.5


def test_draws_that_vary_need_no_more():
    drawn = np.random.default_rng(0).normal(0.8, 0.05, 500)
    assert crossed([0.8], [drawn], 12, [Interval(0.0, 1.0)]).unseen == 0


@pytest.mark.parametrize("shift", [0.0, 0.5, 2.0])
def test_the_p_value_goes_with_the_interval(shift):
    chance = np.random.default_rng(1)
    for _ in range(30):
        world = _world(chance, 3, 40, 0.3, 1.0)
        moved = Repeated(world.values + shift, world.drawn + shift, 40)
        low, high = interval(moved)
        assert (p_value(moved) < 0.05) == (not low <= 0 <= high)


def test_holm_is_statsmodels():
    from statsmodels.stats.multitest import multipletests

    given = list(np.random.default_rng(0).uniform(size=9) ** 3)
    assert holm(given) == pytest.approx(multipletests(given, method="holm")[1])
    assert holm([]) == []
