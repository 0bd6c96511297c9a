"""What a few labels of the place of use put right is shown before it is used; what is right, or has no order, is left alone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.special import expit, log_softmax, softmax
from sklearn.metrics import brier_score_loss

from medtl.evaluation.cases import Cases
from medtl.evaluation.mending import lacking, mend, too_few
from medtl.evaluation.recalibration import NO_ORDER
from medtl.evaluation.recalibration_of_classes import fit_cases
from medtl.evaluation.refit import dealt, groups_of_each


def made(seed: int, patients: int = 120, shift: float = 0.0, slope: float = 1.0, signal: float = 1.8) -> Cases:
    """True log-odds x, one image of each patient, told as (x - shift) / slope."""
    random = np.random.default_rng(seed)
    x = signal * random.normal(size=patients)
    p, truth = expit((x - shift) / slope), (random.random(patients) < expit(x)).astype(np.int64)
    return Cases(
        ("well", "ill"), 1, truth, (p >= 0.5).astype(np.int64), np.stack([1 - p, p], axis=1), np.arange(patients), patients, patients
    )


def of_classes(seed: int, patients: int = 240, by: tuple[float, ...] = (0.0, 0.0, 0.0), slope: float = 1.0) -> Cases:
    """True log-probabilities, told as if they were `by` lower, and flattened by `slope`."""
    random = np.random.default_rng(seed)
    logs = log_softmax(2 * random.normal(size=(patients, len(by))), axis=1)
    truth = np.array([random.choice(len(by), p=row) for row in np.exp(logs)])
    p = softmax((logs - np.array(by)) / slope, axis=1)
    return Cases(("a", "b", "c"), None, truth, p.argmax(axis=1), p, np.arange(patients), patients, patients)


def with_first(cases: Cases, count: int) -> Cases:
    """With `count` ill patients, the others left out."""
    ill = np.flatnonzero(cases.truth == 1)[:count]
    kept = np.sort(np.r_[ill, np.flatnonzero(cases.truth == 0)])
    parts = {name: getattr(cases, name)[kept] for name in ("truth", "predicted", "probabilities")}
    return dataclasses.replace(cases, **parts, groups=np.arange(len(kept)), numbered=len(kept))


def test_a_shift_of_log_odds_is_mended_from_a_few_dozen_labels_and_its_interval_holds_it():
    held = shown = 0
    for seed in range(20):
        found = mend(made(seed, patients=100, shift=1.5))
        shown += found.shown
        interval = found.evidence["before"]["calibration_intercept"]
        assert found.evidence["fitted"] == {"intercept": pytest.approx(interval["value"], abs=1e-6), "slope": 1.0}
        held += interval["low"] <= 1.5 <= interval["high"]
    assert shown >= 16
    assert held >= 17


def test_right_probabilities_are_left_alone():
    assert sum(mend(made(seed, patients=patients)).shown for seed in range(20) for patients in (50, 150)) <= 2


def test_what_is_shown_is_judged_by_patients_who_fitted_nothing():
    cases = made(4, patients=300, shift=1.0)
    found = mend(cases)
    assert found.shown
    assert found.crossed is not None
    own, crossed = (each.probabilities[:, 1] for each in (found.line.moved(cases), found.crossed))
    assert found.evidence["after"]["brier"]["value"] == pytest.approx(brier_score_loss(cases.truth, crossed))
    assert brier_score_loss(cases.truth, own) < brier_score_loss(cases.truth, crossed)
    gap = found.evidence["after"]["brier_difference"]
    assert gap["value"] == pytest.approx(brier_score_loss(cases.truth, crossed) - brier_score_loss(cases.truth, cases.probabilities[:, 1]))


def test_without_an_order_nothing_is_mended_though_the_brier_score_would_fall():
    for seed in range(10):
        cases = made(seed, patients=200, shift=2.0)
        dealt_out = np.random.default_rng(seed).permutation(200)
        found = mend(dataclasses.replace(cases, probabilities=cases.probabilities[dealt_out]))
        assert not found.shown
        if found.evidence["auroc"]["low"] <= 0.5:
            assert "no better order of the images than chance is shown" in found.reason
    turned = made(1, patients=200, shift=2.0)
    found = mend(dataclasses.replace(turned, probabilities=turned.probabilities[:, ::-1]))
    assert not found.shown
    assert found.evidence["slope_instead"] == {"reason": NO_ORDER}


def test_below_ten_of_either_it_is_said_how_many_more_are_needed():
    cases = with_first(made(0, patients=200, shift=1.0), 7)
    assert lacking(cases) == {"ill": 3}
    assert too_few(cases, "patient") == "too few to fit anything on, 10 of each are needed (7 patients of ill, 3 more are needed)"
    found = mend(cases, "patient")
    assert (found.shown, found.line, found.reason) == (False, None, too_few(cases, "patient"))
    enough = with_first(made(0, patients=200, shift=1.0), 10)
    assert groups_of_each(enough)["ill"] == 10
    assert mend(enough).evidence["method"] == "intercept"


def test_a_slope_is_tried_from_fifty_of_each_and_taken_where_it_is_better():
    few = mend(with_first(made(0, patients=400, slope=0.4), 49))
    assert "slope_instead" not in few.evidence
    found = [mend(made(seed, patients=400, slope=0.4)) for seed in range(5)]
    assert all(each.shown and each.evidence["method"] == "intercept_and_slope" for each in found)
    assert all(each.evidence["fitted"]["slope"] == pytest.approx(0.4, abs=0.15) for each in found)
    assert sum(mend(made(seed, patients=400, shift=1.5)).evidence["method"] == "intercept" for seed in range(10)) >= 9


def test_several_classes_get_an_intercept_each_that_gives_their_frequencies_here():
    by = (1.2, -0.8, -0.4)
    for seed in range(5):
        cases = of_classes(seed, by=by)
        found = mend(cases)
        assert found.shown
        assert found.evidence["method"] == "intercept"
        assert found.evidence["fitted"]["intercept"] == pytest.approx(by, abs=0.6)
        np.testing.assert_allclose(found.line.moved(cases).probabilities.mean(axis=0), np.bincount(cases.truth) / 240, atol=1e-5)
    assert sum(mend(of_classes(seed)).shown for seed in range(20)) <= 1


def test_several_classes_get_one_slope_where_it_is_better():
    cases = of_classes(3, patients=600, slope=0.5)
    found = mend(cases)
    assert found.shown
    assert found.evidence["method"] == "intercept_and_slope"
    assert found.line.slope == pytest.approx(0.5, abs=0.1)
    moved, logs = found.line.moved(cases).probabilities, np.log(cases.probabilities)
    expected = logs[np.arange(600), cases.truth].mean()  # the likelihood's own condition: log p of the truth is as often as promised
    assert (moved * logs).sum(axis=1).mean() == pytest.approx(expected, abs=1e-4)
    sure = dataclasses.replace(cases, probabilities=softmax(40.0 * np.eye(3)[cases.truth], axis=1))
    assert fit_cases(sure, "intercept_and_slope") == "the probabilities separate the classes"


def test_groups_of_rare_classes_are_dealt_evenly():
    cases = of_classes(0, by=(0.0, 0.0, 0.0))
    rare = dataclasses.replace(cases, truth=np.where(np.arange(240) < 10, 2, np.arange(240) % 2))
    part = dealt(rare)
    assert sorted(part[:10]) == list(range(10))
