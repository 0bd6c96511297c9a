"""Brier score against scikit-learn, calibration error against a slow textbook loop."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss

from medtl.evaluation import probability


def textbook_ece(truth: np.ndarray, p: np.ndarray, bins: int = 15) -> float:
    confidence, right = p.max(axis=1), p.argmax(axis=1) == truth
    total = 0.0
    for i in range(bins):
        inside = (confidence > i / bins) & (confidence <= (i + 1) / bins)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return total


def test_brier_is_of_the_positive_class_for_two_and_summed_for_more(draw):
    truth, p, _ = draw(np.random.default_rng(0), 100, 1, [0.7, 0.3])
    assert probability.brier_terms(truth, p).mean() == pytest.approx(brier_score_loss(truth, p[:, 1]))
    truth, p, _ = draw(np.random.default_rng(0), 100, 1, [0.6, 0.3, 0.1])
    assert probability.brier_terms(truth, p).mean() == pytest.approx(np.mean(np.sum((p - np.eye(3)[truth]) ** 2, axis=1)))
    assert probability.brier_terms([0], [[0.0, 1.0, 0.0]])[0] == 2


@pytest.mark.parametrize("prevalence", [[0.7, 0.3], [0.6, 0.3, 0.1]])
def test_calibration_error(draw, prevalence: list[float]):
    truth, p, _ = draw(np.random.default_rng(3), 300, 1, prevalence)
    gaps = probability.calibration_gaps(truth, p)
    assert probability.calibration_error(gaps.sum(axis=0), 300) == pytest.approx(textbook_ece(truth, p))


def test_calibration_error_by_hand():
    """Three images at confidence 0.8, two right: |2/3 - 0.8|; one at 1.0, wrong: 1."""
    gaps = probability.calibration_gaps([0, 0, 1, 1], [[0.8, 0.2], [0.8, 0.2], [0.8, 0.2], [1.0, 0.0]])
    assert probability.calibration_error(gaps.sum(axis=0), 4) == pytest.approx((3 * (0.8 - 2 / 3) + 1) / 4)
