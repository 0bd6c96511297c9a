"""The share of a gap that was recovered: against Fieller's formula, its coverage, and where there is no gap."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from medtl.evaluation.crossed import Repeated, interval
from medtl.evaluation.recovered import recovered

GROUPS, DRAWS = 60, 200


def repeated(by_group: np.ndarray, counts: np.ndarray) -> Repeated:
    """The mean over groups of (S, G) figures, as a figure of S trainings."""
    return Repeated(by_group.mean(axis=1), by_group @ counts / GROUPS, GROUPS)


def counts(rng: np.random.Generator) -> np.ndarray:
    return rng.multinomial(GROUPS, np.full(GROUPS, 1 / GROUPS), size=DRAWS).T


def test_one_training_has_the_interval_of_fiellers_formula() -> None:
    rng = np.random.default_rng(3)
    gap = rng.normal(0.2, 0.3, (1, GROUPS))
    gained = 0.6 * gap + rng.normal(0, 0.2, (1, GROUPS))
    drawn = counts(rng)
    one, whole = repeated(gained, drawn), repeated(gap, drawn)
    found = recovered(one, whole)
    assert found is not None
    covariance = np.cov(one.drawn[0], whole.drawn[0])
    quantile = stats.t.ppf(0.975, GROUPS - 1) ** 2
    equation = [
        whole.mean**2 - quantile * covariance[1, 1],
        -2 * (one.mean * whole.mean - quantile * covariance[0, 1]),
        one.mean**2 - quantile * covariance[0, 0],
    ]
    assert [found.low, found.high] == pytest.approx(sorted(np.roots(equation).real), abs=1e-6)
    assert found.value == pytest.approx(one.mean / whole.mean)


def test_it_holds_the_truth_as_often_as_it_says() -> None:
    """Three trainings whose luck moves source, adapted and ceiling; the true share is a half."""
    rng, held, asked = np.random.default_rng(0), 0, 0
    for _ in range(300):
        hard = rng.normal(0, 0.3, GROUPS)
        source, ceiling, adapted = (
            level + luck[:, None] + slope * hard + rng.normal(0, 0.2, (3, GROUPS))
            for level, slope, luck in (
                (0.0, 1.0, rng.normal(0, 0.03, 3)),
                (0.4, 0.5, rng.normal(0, 0.03, 3)),
                (0.2, 0.8, rng.normal(0, 0.03, 3)),
            )
        )
        drawn = counts(rng)
        start = repeated(source, drawn)
        found = recovered(repeated(adapted, drawn).less(start), repeated(ceiling, drawn).less(start))
        asked += found is not None
        held += found is not None and found.low <= 0.5 <= found.high
    assert asked > 285
    assert 0.93 <= held / asked <= 0.985


def test_a_gap_that_touches_nothing_has_no_share() -> None:
    rng = np.random.default_rng(1)
    drawn, gained = counts(rng), rng.normal(0.3, 0.1, (2, GROUPS))
    for level in (0.0, -0.5):
        gap = repeated(rng.normal(level, 0.3, (2, GROUPS)), drawn)
        assert interval(gap).low <= 0
        assert recovered(repeated(gained, drawn), gap) is None


def test_all_of_it_and_none_of_it() -> None:
    rng = np.random.default_rng(2)
    gap = repeated(rng.normal(0.3, 0.1, (2, GROUPS)), counts(rng))
    whole, nothing = recovered(gap, gap), recovered(gap.times(0), gap)
    assert whole is not None
    assert nothing is not None
    assert (whole.value, nothing.value) == (1.0, 0.0)
    assert whole.low == pytest.approx(1, abs=0.02)
    assert nothing.high == pytest.approx(0, abs=0.02)
