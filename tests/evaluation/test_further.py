"""The figures beyond the headline: against scikit-learn and statsmodels, few and extreme cases, the noise taken off ECE."""

from __future__ import annotations

import json

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.special import softmax
from scipy.stats import t
from sklearn import metrics

from medtl.contracts import Task
from medtl.evaluation import delong
from medtl.evaluation.probability import log_odds
from medtl.evaluation.summary import summarize


@pytest.mark.parametrize("classes", range(2, 8))
def test_values_are_scikit_learns(draw, make_table, make_task, classes: int):
    prevalence = np.arange(classes, 0, -1) / np.arange(1, classes + 1).sum()
    truth, p, groups = draw(np.random.default_rng(classes), 200, 2, prevalence.tolist())
    entry, called = summarize(make_table(truth, p, groups), make_task(classes), resamples=30), p.argmax(axis=1)
    expected = {
        "weighted_precision": metrics.precision_score(truth, called, average="weighted", zero_division=0),
        "weighted_recall": metrics.recall_score(truth, called, average="weighted"),
        "weighted_f1": metrics.f1_score(truth, called, average="weighted"),
        "mcc": metrics.matthews_corrcoef(truth, called),
        "kappa": metrics.cohen_kappa_score(truth, called),
        "log_loss": metrics.log_loss(truth, p),
        "mse": metrics.mean_squared_error(np.eye(classes)[truth], p),
        **{f"top_{k}_accuracy": metrics.top_k_accuracy_score(truth, p, k=k) for k in (2, 3) if k < classes},
    }
    assert {name: entry[name]["value"] for name in expected} == pytest.approx(expected)
    assert entry["brier"]["value"] == pytest.approx(entry["mse"]["value"] * (1 if classes == 2 else classes))
    parts = [entry[f"brier_{part}"]["value"] for part in ("reliability", "resolution", "uncertainty")]
    assert entry["brier"]["value"] == pytest.approx(parts[0] - parts[1] + parts[2])
    for k, figures in enumerate(entry["per_class"].values()):
        (tn, fp), (fn, _) = metrics.multilabel_confusion_matrix(truth, called)[k]
        assert figures["specificity"]["value"] == pytest.approx(tn / (tn + fp))
        assert figures["npv"]["value"] == pytest.approx(tn / (tn + fn))
        assert figures["auroc"]["value"] == pytest.approx(metrics.roc_auc_score(truth == k, p[:, k]))
        assert figures["auroc_delong"]["value"] == pytest.approx(figures["auroc"]["value"])
        assert figures["auprc_baseline"]["value"] == pytest.approx(np.mean(truth == k))
        if figures["auprc"]["value"] is not None:
            assert figures["auprc"]["value"] == pytest.approx(metrics.average_precision_score(truth == k, p[:, k]))


def test_the_line_and_delong_of_a_class_are_those_of_its_own_images(draw, make_table, make_task):
    truth, p, groups = draw(np.random.default_rng(1), 90, 2, [0.5, 0.3, 0.2])
    p[5] = np.nan
    read = np.isfinite(p[:, 0])
    figures = summarize(make_table(truth, p, groups), make_task(3), resamples=30)["per_class"]["b"]
    event, x = (truth[read] == 1).astype(float), log_odds(p[read, 1])
    fitted = sm.GLM(event, sm.add_constant(x), family=sm.families.Binomial()).fit(cov_type="cluster", cov_kwds={"groups": groups[read]})
    slope, half = fitted.params[1], t.ppf(0.975, 89) * fitted.bse[1]
    assert figures["calibration_slope"] == pytest.approx({"value": slope, "low": slope - half, "high": slope + half})
    area, error = delong.clustered_error(truth[read] == 1, p[read, 1], groups[read])
    fewest = min(len(set(groups[read][event == side])) for side in (0, 1))
    low, high = delong.interval(area, error, fewest)
    assert figures["auroc_delong"] == pytest.approx({"value": area, "low": low, "high": high})


def test_the_corrected_ece_of_calibrated_answers_is_near_0(make_table, make_task):
    """Over 60 cohorts of 60 patients with 1 to 4 images that agree; the plain one says 0.06 and more, where there is nothing."""
    random, plain, corrected = np.random.default_rng(0), [], []
    for _ in range(60):
        sizes = random.integers(1, 5, 60)
        groups = np.repeat(np.arange(60), sizes)
        p = softmax(np.repeat(random.normal(size=(60, 2)) * 1.5, sizes, axis=0), axis=1)
        truth = np.repeat(random.random(60), sizes) < p[:, 1]
        entry = summarize(make_table(truth.astype(int), p, groups), make_task(2), resamples=60)
        plain.append(entry["ece"]["value"])
        corrected.append(entry["ece_corrected"]["value"])
    assert np.mean(plain) > 0.06
    error = np.std(corrected) / np.sqrt(60)
    assert abs(np.mean(corrected)) < 3 * error + 0.004
    assert error < 0.01


def test_unread_images_count_against_and_have_no_probability(make_table, make_task):
    nothing = [np.nan] * 3
    p = [[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], nothing, [0.3, 0.4, 0.3], nothing]
    entry = summarize(make_table([0, 1, 1, 2, 0], p), make_task(3), resamples=20)
    assert entry["top_2_accuracy"]["value"] == pytest.approx(2 / 5)  # of the last read one, third of three, the first of equals counts
    assert entry["per_class"]["a"]["specificity"]["value"] == pytest.approx(2 / 3)
    assert entry["per_class"]["a"]["npv"]["value"] == pytest.approx(1)
    assert entry["log_loss"]["value"] == pytest.approx(-np.log([0.6, 0.5, 0.3]).mean())
    assert entry["kappa"]["value"] == pytest.approx(metrics.cohen_kappa_score([0, 1, 1, 2, 0], [0, 1, 3, 1, 3]))


def test_probabilities_of_exactly_0_and_1_have_a_finite_log_loss(make_table, make_task):
    truth, p = [0, 1, 1, 0], np.array([[1.0, 0], [0, 1], [1, 0], [1, 0]])
    entry = summarize(make_table(truth, p), make_task(2), resamples=20)
    assert entry["log_loss"]["value"] == pytest.approx(metrics.log_loss(truth, p))
    assert entry["log_loss"]["value"] == pytest.approx(-np.log(np.finfo(float).eps) / 4, rel=1e-6)


def test_few_and_flawless_cases_say_why_there_is_no_interval(draw, make_table, make_task):
    truth = np.repeat([0, 1], [8, 12])
    entry = summarize(make_table(truth, np.eye(2)[truth] * 0.98 + 0.01), make_task(2), resamples=50)
    ill = entry["per_class"]["b"]
    for found in (entry["log_loss"], entry["brier_reliability"], ill["auroc_delong"]):
        assert (found["value"] is None, found["low"]) == (False, None)
        assert found["reason"]
    assert ill["calibration_slope"] == {"value": None, "reason": "fewer than 10 groups on a side"}
    for name in ("mcc", "kappa", "weighted_f1", "weighted_precision"):
        assert entry[name]["value"] == 1
        assert entry[name]["low"] < 0.85
    separated = summarize(make_table(np.tile([0, 1], 15), np.tile([[0.9, 0.1], [0.2, 0.8]], (15, 1))), make_task(2), resamples=50)
    assert "separate" in separated["per_class"]["b"]["calibration_slope"]["reason"]


def test_one_class_alone(make_table, make_task):
    entry = summarize(make_table([1] * 30, [[0.3, 0.7]] * 30), make_task(2), resamples=30)
    assert entry["mcc"] == {"value": None, "reason": "all images are of one class, or called one"}
    assert entry["kappa"]["value"] is None
    assert entry["per_class"]["b"]["specificity"] == {"value": None, "reason": "no cases"}
    assert entry["per_class"]["b"]["npv"] == {"value": None, "reason": "never ruled out"}
    assert entry["per_class"]["a"]["specificity"]["value"] == 1
    assert entry["brier_uncertainty"]["value"] == 0
    assert entry["brier_uncertainty"]["reason"] == "all images read are of one class"


def test_the_positive_class_may_be_the_first(draw, make_table):
    truth, p, groups = draw(np.random.default_rng(1), 80, 1, [0.4, 0.6])
    entry = summarize(make_table(truth, p, groups), Task(classes={"a": (), "b": ()}, positive="a"), resamples=30)
    assert entry["per_class"]["a"]["auprc"] == entry["auprc"]
    assert entry["auprc_baseline"]["value"] == pytest.approx(np.mean(truth == 0))
    assert entry["per_class"]["b"]["auprc"]["reason"] == "given for a, the positive class"
    parts = [entry[f"brier_{part}"]["value"] for part in ("reliability", "resolution", "uncertainty")]
    assert entry["brier"]["value"] == pytest.approx(parts[0] - parts[1] + parts[2])


def test_what_groups_are_called_does_not_matter(draw, make_table, make_task):
    """Renamed, groups are drawn in another order: values stay, intervals but for the resamples, analytic ones exactly."""
    truth, p, groups = draw(np.random.default_rng(2), 80, 3, [0.6, 0.4])
    one, other = (summarize(make_table(truth, p, given), make_task(2)) for given in (groups, 500 - groups))
    for name in ("mcc", "kappa", "log_loss", "weighted_f1", "brier_resolution"):
        width = one[name]["high"] - one[name]["low"]
        assert other[name]["value"] == pytest.approx(one[name]["value"])
        assert [other[name][end] for end in ("low", "high")] == pytest.approx([one[name][end] for end in ("low", "high")], abs=0.15 * width)
    for name in ("auroc_delong", "calibration_slope", "calibration_intercept", "specificity", "npv"):
        assert other["per_class"]["b"][name] == pytest.approx(one["per_class"]["b"][name], abs=1e-9)


@pytest.mark.parametrize("seed", range(40))
def test_extreme_probabilities_of_many_groups_give_sound_figures(make_table, make_task, seed: int):
    """Saturated, constant, unread, of few classes: no warning, no NaN, every figure with an interval that holds it or a reason."""
    random = np.random.default_rng(seed)
    classes, n = int(random.integers(2, 8)), 80
    p = softmax(random.normal(size=(n, classes)) * [0.1, 1, 10, 800][seed % 4], axis=1)
    truth = np.where(random.random(n) < random.random(), p.argmax(axis=1), random.integers(0, random.integers(1, classes + 1), n))
    if seed % 5 == 0:
        p[:] = p[0]
    p[random.random(n) < 0.2 * (seed % 3)] = np.nan
    entry = summarize(make_table(truth, p, random.integers(0, 60, n)), make_task(classes), resamples=20)
    json.dumps(entry, allow_nan=False)
    for found in (*entry.values(), *(each for figures in entry["per_class"].values() for each in figures.values())):
        if isinstance(found, dict) and "value" in found:
            sound = bool(found.get("reason")) if found.get("low") is None else found["low"] <= found["value"] <= found["high"]
            assert sound, found
