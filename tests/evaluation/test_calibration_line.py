"""Calibration intercept and slope against statsmodels, and intervals that hold the truth over clustered images."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import t

from medtl.evaluation.calibration_line import calibration_line
from medtl.evaluation.probability import log_odds


def made(seed: int, groups: int, size: int, intercept: float = 0.0, slope: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth of true log-odds x, told as (x - intercept) / slope: what a line with these two puts right. Images of a group share half."""
    random = np.random.default_rng(seed)
    x = np.repeat(random.normal(size=groups), size) * 1.5 + random.normal(size=groups * size) - 0.5
    level = np.repeat(random.random(groups), size)  # one draw per group: its images agree
    event = np.where(random.random(groups * size) < 0.5, level, random.random(groups * size)) < expit(x)
    return event, expit((x - intercept) / slope), np.repeat(np.arange(groups), size)


@pytest.mark.parametrize(("intercept", "slope"), [(0.0, 1.0), (0.8, 0.6), (-1.0, 1.7)])
def test_statsmodels_says_the_same(intercept: float, slope: float):
    event, p, groups = made(3, 80, 3, intercept, slope)
    y, x, line = event.astype(float), log_odds(p), calibration_line(event, p, groups)
    robust = {"cov_type": "cluster", "cov_kwds": {"groups": groups}}
    large = sm.GLM(y, np.ones((len(y), 1)), family=sm.families.Binomial(), offset=x).fit(**robust)
    full = sm.GLM(y, sm.add_constant(x), family=sm.families.Binomial()).fit(**robust)
    half = t.ppf(0.975, 79)
    for (value, interval), at, error in ((line.intercept, large.params[0], large.bse[0]), (line.slope, full.params[1], full.bse[1])):
        assert value == pytest.approx(at, abs=1e-6)
        assert interval == pytest.approx((at - half * error, at + half * error), rel=1e-5, abs=1e-5)


def test_intervals_hold_the_truth():
    held = np.zeros(2)
    for seed in range(150):
        line = calibration_line(*made(seed, 50, 3, 0.0, 0.7))
        slope = line.slope[1]
        held[0] += slope.low <= 0.7 <= slope.high
        line = calibration_line(*made(seed, 50, 3, 0.5))
        held[1] += line.intercept[1].low <= 0.5 <= line.intercept[1].high
    assert (held / 150 >= 0.89).all(), held  # nominal 0.95; three standard errors of 150 runs


def test_where_no_slope_fits():
    event, groups = np.array([False, False, True, True]), np.arange(4)
    separated = calibration_line(event, np.array([0.1, 0.2, 0.2, 0.9]), groups)
    assert separated.slope is None
    assert "separate" in separated.no_slope
    equal = calibration_line(event, np.full(4, 0.25), groups)
    assert equal.no_slope == "all are equal"
    assert equal.intercept[0] == pytest.approx(np.log(3))  # half are so, told with odds of 1 to 3


def test_probabilities_of_exactly_0_and_1_are_no_end():
    line = calibration_line(np.array([True, False] * 10), np.tile([1.0, 0.0, 0.0, 1.0, 0.6], 4), np.arange(20))
    assert np.isfinite([line.intercept[0], *line.intercept[1], line.slope[0], *line.slope[1]]).all()


@pytest.mark.parametrize("mean", [-10, -7, 3, 7, 10, 20])
@pytest.mark.parametrize("events", [3, 12, 300, 588])
def test_the_intercept_is_where_as_many_are_expected_as_there_are(mean: float, events: int):
    """Also where nearly all are sure and wrong, so that the likelihood has hardly any curvature to begin with."""
    event = np.arange(600) < events
    x = np.random.default_rng(events).normal(mean, 1 + abs(mean) / 10, 600) + event
    x = log_odds(expit(x))
    at, (low, high) = calibration_line(event, expit(x), np.arange(600)).intercept
    assert at == pytest.approx(brentq(lambda shift: expit(x + shift).sum() - events, -100, 100), abs=1e-6)
    assert low < at < high
