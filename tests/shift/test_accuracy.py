"""Guesses of the accuracy without labels, by hand; and what is said of their error."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import entropy

from medtl.shift.accuracy import Answers, KnownShift, difference, guessed, sureness, thresholded


def test_the_threshold_makes_the_share_the_accuracy_at_the_source() -> None:
    scores = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    correct = np.array([0, 1, 0, 1, 1, 1, 1, 0, 1, 1])  # 7 of 10: the threshold is 0.3
    assert thresholded(scores, correct, scores) == 0.7
    assert thresholded(scores, correct, [0.2, 0.3, 0.35, 0.9]) == 0.5
    assert thresholded(scores, np.ones(10), [0.0, 1.0]) == 1.0


def test_the_accuracy_falls_as_the_confidence_does() -> None:
    assert difference([0.9, 0.8], [1, 1], [0.6, 0.8]) == pytest.approx(0.85)
    assert difference([0.9, 0.9], [0, 0], [0.1, 0.1]) == 0.0


def test_sureness_is_negative_entropy() -> None:
    p = np.array([[0.5, 0.5], [0.9, 0.1], [1.0, 0.0]])
    np.testing.assert_allclose(sureness(p), [-entropy(row) for row in p], atol=1e-9)


def _answers(p: list[float], truth: list[int]) -> Answers:
    ill = np.array(p)
    return Answers(np.column_stack([1 - ill, ill]), (ill > 0.5).astype(np.int64), np.array(truth))


def test_the_largest_error_stands_beside_the_guess_as_long_as_the_target_is_not_beyond() -> None:
    source, target = _answers([0.1, 0.4, 0.6, 0.9], [0, 0, 1, 0]), _answers([0.2, 0.9], [-1, -1])
    known = [
        KnownShift("blur", 0.10, 0.7, {"thresholded": 0.8, "difference": 0.75}),
        KnownShift("noise", 0.30, 0.5, {"thresholded": 0.4, "difference": 0.8}),
    ]
    near = {each.method: each for each in guessed(source, target, known, 0.2)}
    assert near["difference"].error == pytest.approx(0.3)
    assert near["difference"].worst == "noise"
    assert near["difference"].sentence().endswith("± 0.30 (its largest error over the known shifts, under noise)")
    assert near["thresholded"].error == pytest.approx(0.1)
    assert all(each.beyond and "not to be believed" in each.sentence() for each in guessed(source, target, known, 0.31))
    assert all(each.error is None and "no known shift was tried" in each.sentence() for each in guessed(source, target, [], 0.2))


def test_ties_at_the_threshold_count_by_their_share() -> None:
    """On the source the guess is its accuracy, also where most answers are alike in sureness."""
    alike, right = np.full(100, -0.3), np.r_[np.ones(90), np.zeros(10)]
    assert thresholded(alike, right, alike) == pytest.approx(0.9)
    saturated = np.r_[np.zeros(60), -np.linspace(0.01, 0.6, 40)]
    assert thresholded(saturated, np.r_[np.zeros(50), np.ones(50)], saturated) == pytest.approx(0.5)
    assert thresholded(alike, right, [-0.3, -0.3, -0.4, -0.2]) == pytest.approx((2 * 0.9 + 1) / 4)
