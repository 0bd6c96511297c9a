"""Several findings per image: each calibrated and decided by itself, as a task of two classes would be."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit

from medtl.decisions import calibration, threshold
from medtl.decisions.per_class import PerClass, decide_each, fit_calibration, fit_thresholds
from medtl.errors import MedtlError


def drawn(n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(N, 2) log-odds that are 3 and 0.5 times too large and off by 1 and -2, and (N, 2) truth with gaps."""
    random = np.random.default_rng(0)
    true = random.normal(size=(n, 2)) * 1.5
    truth = (random.random((n, 2)) < expit(true)).astype(float)
    truth[random.random((n, 2)) < 0.2] = np.nan
    return (true - (1, -2)) * (3, 0.5), truth


def test_what_was_bent_is_made_straight() -> None:
    logits, truth = drawn(20_000)
    fitted = fit_calibration(logits, truth)
    assert fitted.temperature == pytest.approx((3, 0.5), rel=0.06)
    assert fitted.intercept == pytest.approx((1, -2), abs=0.12)


@pytest.mark.parametrize("method", ["temperature-intercept", "temperature", "none"])
def test_each_finding_is_a_task_of_two_classes(method: str) -> None:
    logits, truth = drawn(60)
    fitted = fit_calibration(logits, truth, method)
    p = fitted.apply(logits)
    cuts = fit_thresholds(p, truth)
    for k in range(2):
        known = np.isfinite(truth[:, k])
        own = calibration.fit(np.stack([0 * logits[known, k], logits[known, k]], axis=1), truth[known, k], method)
        alone = own.apply(np.stack([0 * logits[:, k], logits[:, k]], axis=1))[:, 1]
        np.testing.assert_allclose(p[:, k], alone, atol=1e-6)
        assert cuts[k] == threshold.fit(p[known, k], truth[known, k] == 1)


def test_decisions_and_the_unread() -> None:
    p = np.array([[0.5, 0.2], [0.49, 0.9], [np.nan, np.nan]])
    np.testing.assert_array_equal(decide_each(p, (0.5, 0.3)), [[1, 0], [0, 1], [np.nan, np.nan]])


def test_json_and_refusals() -> None:
    fitted = PerClass((1.5, 2.0), (0.1, -0.2))
    assert PerClass.from_json(fitted.to_json()) == fitted
    for stored in ({"temperature": [1.0]}, {"temperature": 1.0, "intercept": [0.0]}, {"temperature": [0.0], "intercept": [0.0]}):
        with pytest.raises(MedtlError, match="calibration"):
            PerClass.from_json(stored)
    with pytest.raises(MedtlError, match="fitted for 2 findings"):
        fitted.apply(np.zeros((3, 3)))
