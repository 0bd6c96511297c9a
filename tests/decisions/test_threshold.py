"""Thresholds against exhaustive search and scikit-learn; the decision rule."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, f1_score

from medtl.decisions import threshold
from medtl.errors import MedtlError

CASES = st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.1 + 2**-56, 0.3, 0.5, 0.7, 0.9, 1.0]), st.booleans()), min_size=2, max_size=25)


def gain(rule: str, truth: np.ndarray, called: np.ndarray) -> float:
    if rule == "f1":
        return f1_score(truth, called, zero_division=0.0)
    return balanced_accuracy_score(truth, called)


@pytest.mark.parametrize("rule", ["youden", "f1"])
@given(cases=CASES)
def test_no_cut_is_better(rule: str, cases: list[tuple[float, bool]]):
    score, truth = np.array([c[0] for c in cases]), np.array([c[1] for c in cases])
    if truth.all() or not truth.any():
        assert threshold.fit(score, truth, rule) == 0.5
        return
    found = threshold.fit(score, truth, rule)
    best = max(gain(rule, truth, score >= cut) for cut in [*np.unique(score), 2.0])
    assert gain(rule, truth, score >= found) == pytest.approx(best)


def test_midway_and_ties():
    assert threshold.fit([0.2, 0.4, 0.6, 0.8], [False, False, True, True]) == pytest.approx(0.5)
    assert threshold.fit([0.1, 0.9], [False, True], "f1") == pytest.approx(0.5)
    assert threshold.fit([0.6, 0.6], [False, True], "f1") == pytest.approx(0.3)  # all positive beats none: between 0 and 0.6
    # Two cuts equally good and equally far from 0.5: the lower, more sensitive one.
    assert threshold.fit([0.2, 0.4, 0.6, 0.8], [False, True, False, True]) == pytest.approx(0.3)


def test_row_order_does_not_matter():
    random = np.random.default_rng(0)
    score, truth = random.random(50).round(1), random.random(50) < 0.4
    order = random.permutation(50)
    assert threshold.fit(score, truth) == threshold.fit(score[order], truth[order])


def test_one_class_or_nothing_gives_half_and_says_why():
    assert threshold.fit([0.2, 0.9], [True, True]) == 0.5
    assert "all cases are positive" in threshold.unfittable([0.2, 0.9], [True, True])
    assert "all cases are negative" in threshold.unfittable([0.2], [False])
    assert "no cases" in threshold.unfittable([np.nan], [False])
    assert threshold.unfittable([0.2, 0.9], [True, False]) == ""


def test_unread_cases_are_left_out():
    assert threshold.fit([0.2, np.nan, 0.8], [False, True, True]) == pytest.approx(0.5)


def test_decide():
    p = [[0.7, 0.3], [0.5, 0.5], [0.2, 0.8], [np.nan, np.nan]]
    assert threshold.decide(p).tolist() == [0, 0, 1, -1]
    assert threshold.decide(p, 1, 0.3).tolist() == [1, 1, 1, -1]
    assert threshold.decide(p, 0, 0.6).tolist() == [0, 1, 1, -1]
    assert threshold.decide(np.zeros((0, 3))).tolist() == []


def test_an_adjustment_worked_by_hand():
    # The means of p over the three images are 0.6, 0.25 and 0.15: p over them is (1, 1.2, 0.67), (1.5, 0.4, 0), (0.5, 1.4, 2.33);
    # over their roots 0.775, 0.5, 0.387: (0.77, 0.6, 0.26), (1.16, 0.2, 0), (0.39, 0.7, 0.90).
    p = [[0.60, 0.30, 0.10], [0.90, 0.10, 0.00], [0.30, 0.35, 0.35], [np.nan] * 3]
    full, half = threshold.adjustment(p, 1.0), threshold.adjustment(p, 0.5)
    assert full == pytest.approx((np.log(0.6), np.log(0.25), np.log(0.15)))
    assert threshold.decide(p, adjusted=full).tolist() == [1, 0, 2, -1]
    assert threshold.decide(p, adjusted=half).tolist() == [0, 0, 2, -1]
    assert threshold.adjustment(p, 0.0) is None
    assert threshold.decide(p).tolist() == [0, 0, 1, -1]


def test_full_adjustment_is_best_by_balanced_accuracy():
    """Against all 3^4 ways of answering four kinds of image whose p(class | kind) is known."""
    comes = np.array([4, 3, 2, 1])
    p = np.array([[0.90, 0.08, 0.02], [0.70, 0.25, 0.05], [0.60, 0.10, 0.30], [0.50, 0.30, 0.20]])
    joint = comes[:, None] * p / comes.sum()

    def balanced_accuracy(answers: tuple[int, ...]) -> float:
        return sum(joint[kind, answer] / joint[:, answer].sum() for kind, answer in enumerate(answers)) / 3

    best = max(product(range(3), repeat=4), key=balanced_accuracy)
    assert tuple(threshold.decide(p, adjusted=threshold.adjustment(p.repeat(comes, axis=0), 1.0))) == best
    assert balanced_accuracy(best) > balanced_accuracy(tuple(threshold.decide(p)))


def test_a_class_that_is_never_thought_possible_is_not_chosen():
    p = [[0.6, 0.4, 0.0], [0.2, 0.8, 0.0]]
    assert threshold.decide(p, adjusted=threshold.adjustment(p, 1.0)).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: threshold.fit([0.1], [True], "yuden"), "did you mean 'youden'"),
        (lambda: threshold.fit([0.1, 0.2], [True]), "expected"),
        (lambda: threshold.decide([[0.1, 0.2, 0.7]], 1, 0.5), "two classes"),
        (lambda: threshold.decide([[0.1, 0.9]], None, 0.5), "position of the positive"),
        (lambda: threshold.decide([0.1, 0.9]), "expected"),
        (lambda: threshold.decide([[0.1, 0.9]], 1, 0.5, (0.0, 0.0)), "has the one, of more classes the other"),
    ],
)
def test_refusals(call: object, message: str):
    with pytest.raises(MedtlError, match=message):
        call()
