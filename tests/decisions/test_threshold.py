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
from medtl.registry import component

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
        assert threshold.fit(score, truth, rule).value == 0.5
        return
    found = threshold.fit(score, truth, rule).value
    best = max(gain(rule, truth, score >= cut) for cut in [*np.unique(score), 2.0])
    assert gain(rule, truth, score >= found) == pytest.approx(best)


@given(cases=CASES, measure=st.sampled_from(["sensitivity", "specificity"]), bound=st.sampled_from([0.3, 0.5, 0.8, 0.95, 1.0]))
def test_what_must_be_kept_is_kept_and_the_other_is_the_best_that_leaves(cases: list[tuple[float, bool]], measure: str, bound: float):
    score, truth = np.array([c[0] for c in cases]), np.array([c[1] for c in cases])
    if truth.all() or not truth.any():
        return
    found = threshold.fit(score, truth, component("decisions.rules", measure).Settings(at_least=bound))

    def both(cut: float) -> tuple[float, float]:
        called = score >= cut
        sides = {"sensitivity": called[truth].mean(), "specificity": (~called[~truth]).mean()}
        return sides.pop(measure), sides.popitem()[1]

    (kept, other), every = both(found.value), [both(cut) for cut in [*np.unique(score), *([2.0] if score.max() < 1 else [])]]
    able = [rest for own, rest in every if own >= bound - 1e-12]
    assert found.reached == bool(able)
    if able:
        assert kept >= bound - 1e-12
        assert other == pytest.approx(max(able))
    else:
        assert score.max() == 1
        assert kept == max(own for own, _ in every)


def test_ppv_is_of_the_stated_prevalence_and_may_be_out_of_reach():
    rule = component("decisions.rules", "ppv").Settings
    score = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
    truth = [False, False, False, True, False, True, False, True]
    at_half = threshold.fit(score, truth, rule(at_least=0.5, prevalence=0.5))
    assert at_half == (pytest.approx(0.35), True)  # 3 of 3 ill and 2 of 5 well called: 1 / (1 + 0.4) = 0.71 is enough
    rarer = threshold.fit(score, truth, rule(at_least=0.5, prevalence=0.25))
    assert rarer == (pytest.approx(0.55), True)  # (2/3 · 0.25) / (2/3 · 0.25 + 1/5 · 0.75) = 0.53, and 0.45 with all three
    noise = threshold.fit([0.1, 0.9, 0.8, 0.2], [False, False, True, True], rule(at_least=0.9))
    assert not noise.reached
    assert noise.value == pytest.approx(0.15)  # two of the three called are ill: more than with any other threshold
    assert threshold.said(rule(at_least=0.9, prevalence=0.1), reached=False).startswith("ppv >= 0.9 at a prevalence of 0.1, out of reach")
    assert threshold.said("youden") == "youden"


def test_midway_and_ties():
    assert threshold.fit([0.2, 0.4, 0.6, 0.8], [False, False, True, True]).value == pytest.approx(0.5)
    assert threshold.fit([0.1, 0.9], [False, True], "f1").value == pytest.approx(0.5)
    assert threshold.fit([0.6, 0.6], [False, True], "f1").value == pytest.approx(0.3)  # all positive beats none: between 0 and 0.6
    # Two cuts equally good and equally far from 0.5: the lower, more sensitive one.
    assert threshold.fit([0.2, 0.4, 0.6, 0.8], [False, True, False, True]).value == pytest.approx(0.3)


def test_row_order_does_not_matter():
    random = np.random.default_rng(0)
    score, truth = random.random(50).round(1), random.random(50) < 0.4
    order = random.permutation(50)
    assert threshold.fit(score, truth) == threshold.fit(score[order], truth[order])


def test_one_class_or_nothing_gives_half_and_says_why():
    assert threshold.fit([0.2, 0.9], [True, True]).value == 0.5
    assert "all cases are positive" in threshold.unfittable([0.2, 0.9], [True, True])
    assert "all cases are negative" in threshold.unfittable([0.2], [False])
    assert "no cases" in threshold.unfittable([np.nan], [False])
    assert threshold.unfittable([0.2, 0.9], [True, False]) == ""


def test_unread_cases_are_left_out():
    assert threshold.fit([0.2, np.nan, 0.8], [False, True, True]).value == pytest.approx(0.5)


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
