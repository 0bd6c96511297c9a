"""A threshold and a calibration fitted anew: nobody judges what he helped to choose; what can be mended is, and what cannot is not."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.metrics import brier_score_loss, recall_score

from medtl.decisions import threshold
from medtl.evaluation.cases import UNREAD, Cases
from medtl.evaluation.influence import figures
from medtl.evaluation.left_out import Rule, by_domain
from medtl.evaluation.ranking import auroc
from medtl.evaluation.recalibrating import cross_fitted, recalibrate
from medtl.evaluation.recalibration import NO_ORDER, Recalibration, fit
from medtl.evaluation.refit import apart, called, dealt, paired, refit_threshold, thresholds, too_few


def youden(p: np.ndarray, event: np.ndarray) -> float:
    return threshold.fit(p, event, "youden").value


def cases_of(event: np.ndarray, p: np.ndarray, groups: np.ndarray, cut: float = 0.5, positive: int = 1) -> Cases:
    of_positive = np.stack([1 - p, p] if positive else [p, 1 - p], axis=1)
    truth = np.where(event, positive, 1 - positive)
    predicted = np.where(np.isnan(p), UNREAD, np.where(p >= cut, positive, 1 - positive))
    return Cases(
        ("well", "ill") if positive else ("ill", "well"), positive, truth, predicted, of_positive, groups, 0, int(groups.max()) + 1
    )


def made(seed: int, patients: int = 150, size: int = 2, shift: float = 0.0, slope: float = 1.0, signal: float = 1.5) -> Cases:
    """True log-odds x of clustered images, told as (x - shift) / slope."""
    random = np.random.default_rng(seed)
    x = signal * (np.repeat(random.normal(size=patients), size) + 0.5 * random.normal(size=patients * size))
    return cases_of(random.random(len(x)) < expit(x), expit((x - shift) / slope), np.repeat(np.arange(patients), size))


@given(st.integers(0, 1000), st.integers(2, 10))
@settings(max_examples=30, deadline=None)
def test_no_patient_is_judged_by_what_he_helped_to_choose(seed: int, folds: int):
    cases = made(seed, patients=60, size=3)
    part, judged = dealt(cases, folds, seed), np.zeros(len(cases.truth), int)
    for held, others in apart(part, cases.groups):
        assert not set(cases.groups[held]) & set(cases.groups[others])
        judged += held
    assert (judged == 1).all()
    ill = [np.unique(cases.groups[(part == each) & np.isin(cases.groups, cases.groups[cases.truth == 1])]).size for each in range(folds)]
    assert max(ill) - min(ill) <= 1


def test_patients_in_two_domains_are_left_out_of_both_fits():
    groups, part = np.array([0, 0, 1, 2, 2, 3]), np.array([0, 1, 0, 1, 1, 1])
    (held, others), _ = list(apart(part, groups))
    assert held.tolist() == [True, False, True, False, False, False]
    assert others.tolist() == [False, False, False, True, True, True]


def test_another_label_of_one_patient_does_not_move_his_own_threshold_or_probability():
    cases = made(3)
    part = dealt(cases)
    mine = cases.groups == 7
    flipped = cases_of((cases.truth == 1) ^ mine, cases.probabilities[:, 1], cases.groups)
    np.testing.assert_array_equal(thresholds(cases, part, youden)[mine], thresholds(flipped, part, youden)[mine])
    for method in ("intercept", "intercept_and_slope"):
        one, other = (cross_fitted(each, part, method).probabilities for each in (cases, flipped))
        np.testing.assert_array_equal(one[mine], other[mine])
        assert not np.array_equal(one[~mine], other[~mine])


def test_statsmodels_fits_the_same_lines():
    cases = made(5, shift=0.8, slope=0.6)
    event, p = cases.truth == 1, cases.probabilities[:, 1]
    glm = sm.GLM(event.astype(float), sm.add_constant(logit(p)), family=sm.families.Binomial()).fit()
    found = fit(event, p, cases.groups, "intercept_and_slope")
    assert (found.intercept, found.slope) == pytest.approx(tuple(glm.params), abs=1e-6)
    large = sm.GLM(event.astype(float), np.ones(len(p)), family=sm.families.Binomial(), offset=logit(p)).fit()
    assert fit(event, p, cases.groups, "intercept") == Recalibration(pytest.approx(large.params[0], abs=1e-6), 1.0)
    np.testing.assert_allclose(found.apply(p), glm.predict(), atol=1e-7)


def test_figures_before_and_after_are_scikit_learns():
    cases = made(8, shift=-1.0)
    found, event = refit_threshold(cases, youden), cases.truth == 1
    after = called(cases, thresholds(cases, dealt(cases), youden)).predicted
    for side, answers in (("before", cases.predicted), ("after", after)):
        assert found[side]["sensitivity"]["value"] == pytest.approx(recall_score(event, answers == 1))
        assert found[side]["specificity"]["value"] == pytest.approx(recall_score(~event, answers == 0))
    gap = found["difference"]["balanced_accuracy"]
    assert gap["value"] == pytest.approx(found["after"]["balanced_accuracy"]["value"] - found["before"]["balanced_accuracy"]["value"])
    calibrated = recalibrate(cases)
    moved = cross_fitted(cases, dealt(cases), "intercept").probabilities[:, 1]
    assert calibrated["intercept"]["brier"]["value"] == pytest.approx(brier_score_loss(event, moved))
    assert calibrated["as_shipped"]["brier"]["value"] == pytest.approx(brier_score_loss(event, cases.probabilities[:, 1]))
    assert calibrated["everybody"] == pytest.approx(brier_score_loss(event, np.full(len(event), event.mean())))


def test_an_intercept_shift_is_found_and_mended_by_either():
    for seed in range(5):
        cases = made(seed, patients=300, shift=1.5)
        threshold_found, found = refit_threshold(cases, youden), recalibrate(cases)
        assert found["as_shipped"]["calibration_intercept"]["low"] > 1
        assert found["intercept"]["fitted"]["intercept"] == pytest.approx(1.5, abs=0.4)
        for method in ("intercept", "intercept_and_slope"):
            assert found[method]["brier_difference"]["high"] < 0
            assert abs(found[method]["calibration_intercept"]["value"]) < 0.1
        assert threshold_found["difference"]["balanced_accuracy"]["low"] > 0
        assert threshold_found["here"] < 0.4


def test_the_intervals_hold_what_the_procedure_is_worth_on_other_patients():
    """The truth: the line and threshold fitted on each sample, judged on a very large one; its mean over the samples."""
    large, found, worth = made(9999, patients=20_000, size=2, shift=1.5), [], []
    event, p = large.truth == 1, large.probabilities[:, 1]
    for seed in range(80):
        cases = made(seed, patients=150, shift=1.5)
        part, y, q = dealt(cases), cases.truth == 1, cases.probabilities[:, 1]
        answers = called(cases, thresholds(cases, part, youden))
        pairs = (figures(cross_fitted(cases, part, "intercept_and_slope")), figures(answers), figures(cases))
        found.append(
            [paired(pairs[0]["Brier score"], pairs[2]["Brier score"]), paired(pairs[1]["balanced accuracy"], pairs[2]["balanced accuracy"])]
        )
        right = (p >= youden(q, y)) == event
        was = (p >= 0.5) == event
        moved = fit(y, q, cases.groups, "intercept_and_slope").apply(p)
        worth.append(
            [np.mean((moved - event) ** 2 - (p - event) ** 2), np.mean([right[s].mean() - was[s].mean() for s in (event, ~event)])]
        )
    truth = np.mean(worth, axis=0)
    for place in (0, 1):
        held = np.mean([each[place]["low"] <= truth[place] <= each[place]["high"] for each in found])
        assert held >= 0.87, held  # nominal 0.95; three standard errors of 80 runs


def test_what_is_right_already_is_not_made_better():
    gains = []
    for seed in range(40):
        cases = made(seed, patients=150)
        moved = cross_fitted(cases, dealt(cases), "intercept_and_slope")
        gap = paired(*(figures(each)["Brier score"] for each in (moved, cases)))
        gains.append((gap["value"], gap["high"] < 0))
    assert np.mean([value for value, _ in gains]) > 0  # fitting costs a little, and cross-fitting shows it
    assert sum(better for _, better in gains) <= 4


def test_a_pure_ranking_loss_is_not_mended():
    for seed in range(5):
        random = np.random.default_rng(seed)
        right = made(seed, patients=300)
        p = random.permutation(right.probabilities[:, 1])  # the same probabilities, of other images
        found = recalibrate(cases_of(right.truth == 1, p, right.groups))
        slope = found["intercept_and_slope"]
        best = slope["brier"]["value"] if "brier" in slope else found["everybody"]
        assert best > found["everybody"] - 0.005
        assert auroc(right.truth, np.stack([1 - p, p], axis=1), 1) == pytest.approx(0.5, abs=0.08)


def test_a_model_that_ranks_the_wrong_way_is_not_turned_round():
    cases = made(1)
    found = recalibrate(cases_of(cases.truth == 1, 1 - cases.probabilities[:, 1], cases.groups))
    assert found["intercept_and_slope"] == {"reason": NO_ORDER}
    assert "brier" in found["intercept"]


def test_a_threshold_that_means_nothing_gains_nothing_out_of_sample():
    gaps = []
    for seed in range(40):
        random = np.random.default_rng(seed)
        cases = cases_of(np.arange(160) % 2 == 0, random.random(160), np.arange(160))
        found = refit_threshold(cases, youden)
        event = cases.truth == 1
        flattering = called(cases, np.full(160, found["here"])).predicted == 1
        assert flattering[event].mean() + 1 - flattering[~event].mean() >= 1 - 1e-12
        gaps.append(found["after"]["balanced_accuracy"]["value"])
    assert np.mean(gaps) == pytest.approx(0.5, abs=0.03)


def test_below_fifty_of_either_side_nothing_is_fitted():
    groups = np.arange(400) // 2  # 200 patients of two images
    p = np.random.default_rng(0).random(400)
    assert too_few(cases_of(groups < 49, p, groups), "patient") == "too few to re-fit (49 patients of ill; 50 of each are needed)"
    assert too_few(cases_of(groups < 50, p, groups), "patient") == ""
    assert too_few(cases_of(groups < 151, p, groups), "patient") == "too few to re-fit (49 patients of well; 50 of each are needed)"
    for found in (refit_threshold(cases_of(groups < 49, p, groups), youden), recalibrate(cases_of(groups < 49, p, groups))):
        assert list(found) == ["reason"]


def test_separated_classes_have_no_slope_and_unread_images_stay_missed():
    event, groups = np.arange(120) % 2 == 0, np.arange(120)
    p = np.where(event, 0.8, 0.2) + np.random.default_rng(0).random(120) / 10
    found = recalibrate(cases_of(event, p, groups))
    assert found["intercept_and_slope"] == {"reason": "the probabilities separate the classes"}
    p[:4] = np.nan
    after = refit_threshold(cases_of(event, p, groups), youden)["after"]
    assert after["sensitivity"]["value"] == pytest.approx(58 / 60)
    assert recalibrate(cases_of(event, p, groups))["intercept"]["brier"]["value"] < 0.1


def test_the_positive_class_may_be_the_first():
    second, event = made(2, shift=1.0), made(2, shift=1.0).truth == 1
    first = cases_of(event, second.probabilities[:, 1], second.groups, positive=0)
    for one, other in ((refit_threshold(first, youden), refit_threshold(second, youden)), (recalibrate(first), recalibrate(second))):
        for key in ("after", "intercept"):
            if key in one:
                assert one[key] == other[key]


def test_a_domain_is_judged_with_what_the_others_chose():
    one, two = made(1, patients=200, size=1, shift=2.0), made(2, patients=200, size=1, shift=2.0)
    event = np.concatenate([one.truth, two.truth]) == 1
    p = np.concatenate([one.probabilities[:, 1], two.probabilities[:, 1]])
    cases = cases_of(event, p, np.arange(400))
    found = by_domain(cases, ["a"] * 200 + ["b"] * 200, Rule(youden))
    assert found["b"]["left_out"]["threshold"]["value"] == youden(p[:200], event[:200])
    line = fit(event[:200], p[:200], np.arange(200), "intercept")
    assert found["b"]["left_out"]["intercept"]["brier"]["value"] == pytest.approx(brier_score_loss(event[200:], line.apply(p[200:])))
    assert found["a"]["left_out"]["intercept"]["brier_difference"]["high"] < 0
    assert (found["a"]["n"], found["a"]["ill"]) == (200, int(event[:200].sum()))
    assert by_domain(cases, ["a"] * 400, Rule(youden)) == {}
    few = by_domain(cases, ["a"] * 395 + ["b"] * 5, Rule(youden))
    assert few["b"]["few"].startswith("too few (")
    assert "elsewhere too few to re-fit" in few["a"]["left_out"]["reason"]
