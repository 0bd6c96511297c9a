"""Several classes fitted anew where a model is used: as references have it, judged by other patients; rare classes are named."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, log_loss, roc_auc_score

from medtl.decisions import threshold
from medtl.errors import MedtlError
from medtl.evaluation import influence, side
from medtl.evaluation.cases import UNREAD, Cases
from medtl.evaluation.left_out import Rule, by_domain
from medtl.evaluation.recalibrating import cross_fitted, recalibrate
from medtl.evaluation.recalibration_of_classes import fit_cases
from medtl.evaluation.refit import apart, dealt, paired, part_of, too_few
from medtl.evaluation.refit_of_classes import cross_answered, refit_answers

SHIFT = (1.2, -0.8, -0.4)


def most_probable(_: np.ndarray, p: np.ndarray) -> np.ndarray:
    return threshold.decide(p)


def weighed(common: np.ndarray, p: np.ndarray) -> np.ndarray:
    return threshold.decide(p, adjusted=threshold.adjustment(common, 1.0))


def made(
    seed: int, patients: int = 300, size: int = 1, by: tuple[float, ...] = SHIFT, frequent: tuple[float, ...] = (0.0, 0.0, 0.0)
) -> Cases:
    """True log-probabilities of clustered images, told as if they were `by` lower; classes are more or less `frequent`."""
    random = np.random.default_rng(seed)
    of_patients = np.repeat(random.normal(size=(patients, len(by))), size, axis=0)
    logs = log_softmax(2 * of_patients + random.normal(size=of_patients.shape) / 2 + np.array(frequent), axis=1)
    truth = (random.random((len(logs), 1)) > np.exp(logs).cumsum(axis=1)[:, :-1]).sum(axis=1)
    p = softmax(logs - np.array(by), axis=1)
    return Cases(("a", "b", "c"), None, truth, p.argmax(axis=1), p, np.repeat(np.arange(patients), size), len(logs), patients)


def by_iteration(p: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The intercepts by which each class is as probable as it is frequent, one class after the other (Saerens's fixed point)."""
    weight, shares = np.ones(p.shape[1]), np.bincount(truth, minlength=p.shape[1]) / len(truth)
    for _ in range(2000):
        moved = p * weight / (p * weight).sum(axis=1, keepdims=True)
        weight = weight * shares / moved.mean(axis=0)
    return np.log(weight) - np.log(weight).mean()


def test_intercepts_and_every_figure_are_those_of_references():
    cases = made(1, size=2)
    found, part = recalibrate(cases), dealt(cases)
    assert found["intercept"]["fitted"]["intercept"] == pytest.approx(by_iteration(cases.probabilities, cases.truth), abs=1e-3)
    moved = np.empty_like(cases.probabilities)
    for held, others in apart(part, cases.groups):
        p = cases.probabilities[held] * np.exp(by_iteration(cases.probabilities[others], cases.truth[others]))
        moved[held] = p / p.sum(axis=1, keepdims=True)
    for stored, p in ((found["as_shipped"], cases.probabilities), (found["intercept"], moved)):
        assert stored["log_loss"]["value"] == pytest.approx(log_loss(cases.truth, p), abs=1e-4)
        assert stored["brier"]["value"] == pytest.approx(((p - np.eye(3)[cases.truth]) ** 2).sum(axis=1).mean(), abs=1e-4)
        assert stored["auroc"]["value"] == pytest.approx(roc_auc_score(cases.truth, p, multi_class="ovr"), abs=1e-4)
        for k, name in enumerate(cases.classes):
            assert stored["per_class"][name]["auroc"]["value"] == pytest.approx(roc_auc_score(cases.truth == k, p[:, k]), abs=1e-4)
    answers = refit_answers(cases, most_probable)
    for when, called in (("before", cases.predicted), ("after", moved.argmax(axis=1))):
        assert answers[when]["accuracy"]["value"] == pytest.approx(accuracy_score(cases.truth, called))
        assert answers[when]["balanced_accuracy"]["value"] == pytest.approx(balanced_accuracy_score(cases.truth, called))
        assert answers[when]["macro_f1"]["value"] == pytest.approx(f1_score(cases.truth, called, average="macro"))
    for each in (found["intercept"]["log_loss_difference"], answers["difference"]["macro_f1"]):
        assert each["low"] < each["value"] < each["high"]


def test_classes_told_too_often_are_mended_and_right_ones_are_not_claimed_to_be():
    for seed in range(3):
        cases = made(seed)
        found, answers = recalibrate(cases), refit_answers(cases, most_probable)
        assert found["intercept"]["log_loss_difference"]["high"] < 0
        assert found["intercept"]["brier_difference"]["high"] < 0
        assert answers["difference"]["accuracy"]["low"] > 0
    claimed = [recalibrate(made(seed, by=(0.0, 0.0, 0.0)))["intercept"]["log_loss_difference"]["high"] < 0 for seed in range(10)]
    assert sum(claimed) <= 2


def test_the_interval_holds_what_the_procedure_is_worth_on_other_patients():
    large, found, worth = made(999, patients=20_000), [], []
    was = -np.log(large.probabilities[np.arange(20_000), large.truth]).mean()
    for seed in range(40):
        cases = made(seed)
        moved = cross_fitted(cases, dealt(cases), "intercept")
        found.append(paired(influence.log_loss(moved), influence.log_loss(cases)))
        p = fit_cases(cases, "intercept").apply(large.probabilities)
        worth.append(-np.log(p[np.arange(20_000), large.truth]).mean() - was)
    assert np.mean([each["low"] <= np.mean(worth) <= each["high"] for each in found]) >= 0.84  # 0.95, three standard errors of 40


def test_no_patient_answers_by_what_he_helped_to_choose_and_unread_images_stay_unread():
    cases = made(3, patients=200, size=2)
    part, mine = dealt(cases), cases.groups == 7
    other = dataclasses.replace(cases, truth=np.where(mine, (cases.truth + 1) % 3, cases.truth))
    one, two = (cross_fitted(each, part, "intercept_and_slope").probabilities for each in (cases, other))
    np.testing.assert_array_equal(one[mine], two[mine])
    assert not np.array_equal(one[~mine], two[~mine])
    p = cases.probabilities.copy()
    p[:5] = np.nan
    unread = dataclasses.replace(cases, probabilities=p, predicted=np.where(np.arange(400) < 5, UNREAD, cases.predicted))
    answered = cross_answered(unread, dealt(unread), weighed)
    assert (answered.predicted[:5] == UNREAD).all()
    assert (answered.predicted[5:] >= 0).all()
    assert refit_answers(unread, weighed)["after"]["accuracy"]["value"] == pytest.approx((answered.predicted == cases.truth).mean())


def test_rare_classes_that_are_preferred_stay_so_by_the_frequencies_here():
    cases = made(4, patients=600, frequent=(1.5, 0.0, -1.5))
    plain, preferred = (refit_answers(cases, rule)["after"] for rule in (most_probable, weighed))
    assert preferred["balanced_accuracy"]["value"] > plain["balanced_accuracy"]["value"]
    assert preferred["accuracy"]["value"] < plain["accuracy"]["value"]


@given(st.lists(st.floats(0.01, 1), min_size=3, max_size=7), st.floats(0.05, 4))
@settings(max_examples=50, deadline=None)
def test_how_much_rare_classes_are_preferred_is_read_back_from_the_numbers(shares: list[float], tau: float):
    p = np.array([shares]) / sum(shares)
    assert threshold.strength(threshold.adjustment(p, tau)) == pytest.approx(tau, rel=1e-6)


def test_no_preference_is_0_and_numbers_of_another_origin_are_refused():
    assert threshold.strength(None) == 0
    with pytest.raises(MedtlError, match="no frequencies to a power"):
        threshold.strength([0.5, -0.2, -0.3])


def test_the_class_that_is_too_rare_is_named_with_its_patients():
    cases = made(5, patients=400, size=2)
    keep = (cases.truth != 1) | np.isin(cases.groups, np.unique(cases.groups[cases.truth == 1])[:41])
    few = part_of(cases, keep)
    for found in (refit_answers(few, weighed, "patient"), recalibrate(few, "patient")):
        assert found == {"reason": "too few to re-fit (41 patients of b; 50 of each are needed)"}
    assert too_few(part_of(cases, (cases.truth != 1) | (cases.groups == cases.groups[cases.truth == 1][0])), "lesion").startswith(
        "too few to re-fit (1 lesion of b;"
    )


def test_a_domain_is_judged_with_what_the_others_fit_and_none_of_its_patients_does():
    north, south = made(6, patients=250), made(7, patients=250)
    p, truth = (np.concatenate([getattr(each, name) for each in (north, south)]) for name in ("probabilities", "truth"))
    groups = np.r_[np.arange(250), np.arange(240, 490)]  # ten patients were in both
    both = Cases(("a", "b", "c"), None, truth, p.argmax(axis=1), p, groups, 500, 490)
    found = by_domain(both, ["north"] * 250 + ["south"] * 250, Rule(decide=most_probable))
    line = by_iteration(p[260:], truth[260:])
    moved = p[:250] * np.exp(line) / (p[:250] * np.exp(line)).sum(axis=1, keepdims=True)
    left_out = found["north"]["left_out"]
    assert left_out["intercept"]["log_loss"]["value"] == pytest.approx(log_loss(truth[:250], moved), abs=1e-4)
    assert left_out["intercept"]["auroc"]["value"] == pytest.approx(roc_auc_score(truth[:250], moved, multi_class="ovr"), abs=1e-4)
    assert left_out["answers"]["after"]["macro_f1"]["value"] == pytest.approx(f1_score(truth[:250], moved.argmax(1), average="macro"))
    assert left_out["intercept"]["log_loss_difference"]["high"] < 0
    figures = found["north"]["figures"]
    assert figures["auroc"]["value"] == pytest.approx(roc_auc_score(truth[:250], p[:250], multi_class="ovr"))
    assert figures["auroc"]["low"] < figures["auroc"]["value"] < figures["auroc"]["high"]
    assert found["north"]["per_class"]["b"]["n"] == (truth[:250] == 1).sum()


def test_a_domain_with_too_few_of_one_class_shows_the_auroc_of_the_others():
    cases = made(8, patients=400)
    rare = np.flatnonzero(cases.truth == 1)
    domains = np.where(np.arange(400) < 150, "small", "large")
    keep = np.isin(np.arange(400), rare[rare < 150][4:], invert=True)
    found = by_domain(part_of(cases, keep), domains[keep], Rule(decide=weighed), "lesion")["small"]
    assert found["few"] == "too few (4 lesions of b)"
    assert found["per_class"]["b"]["auroc"]["reason"] == "too few: 4 lesions of it"
    assert found["per_class"]["a"]["auroc"]["low"] > 0.5
    assert "left_out" not in found


def test_the_interval_of_macro_f1_is_as_wide_as_its_draws():
    """Of as many tables drawn as the true one, about 95 % of the intervals of F1 hold the truth."""
    truth = side.mean_of([side.f1(made(99, patients=20_000), k) for k in range(3)]).value
    held = [(found := side.mean_of([side.f1(made(seed), k) for k in range(3)]).interval).low <= truth <= found.high for seed in range(200)]
    assert np.mean(held) >= 0.92
