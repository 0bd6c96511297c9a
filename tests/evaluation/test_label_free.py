"""Scores without labels against formulas written otherwise, and non-inferiority on tables made by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from medtl import predictions
from medtl.contracts import Task
from medtl.evaluation.cases import Cases
from medtl.evaluation.extreme_areas import lower_end
from medtl.evaluation.intervals import auroc_interval
from medtl.evaluation.label_free import density_ratio, dev, entropy, lost_classes, neighbourhood_density
from medtl.evaluation.noninferiority import not_worse

TASK = Task(classes={"well": ("well",), "ill": ("ill",)}, positive="ill")


def test_entropy_of_a_coin_and_of_a_sure_thing():
    assert entropy([[0.5, 0.5], [0.5, 0.5]]) == pytest.approx(math.log(2))
    assert entropy([[1.0, 0.0]]) == pytest.approx(0, abs=1e-10)


def test_neighbourhood_density_by_hand_and_over_blocks():
    p = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    near = [math.exp(20), 1.0]  # cosines 1 and 0 over 0.05
    share = [x / sum(near) for x in near]
    first = -sum(x * math.log(x) for x in share)
    assert neighbourhood_density(p) == pytest.approx((2 * first + math.log(2)) / 3)
    rng = np.random.default_rng(0)
    given = rng.dirichlet([1, 1, 1], 700)
    unit = given / np.linalg.norm(given, axis=1, keepdims=True)
    weights = np.exp(unit @ unit.T / 0.05)
    np.fill_diagonal(weights, 0)
    shares = weights / weights.sum(axis=1, keepdims=True)
    logs = np.log(shares, where=shares > 0, out=np.zeros_like(shares))
    assert neighbourhood_density(given) == pytest.approx(-(shares * logs).sum(axis=1).mean())


def test_dev_is_the_mean_without_a_shift_and_finds_a_shifted_risk():
    losses = np.array([0.1, 0.4, 0.2, 0.9])
    assert dev(losses, np.ones(4)) == pytest.approx(losses.mean())
    rng = np.random.default_rng(0)
    source = rng.normal(size=(4000, 1))
    ratio = np.exp(source[:, 0] * 0.5 - 0.125)  # the target is normal around 0.5
    loss = 1 + source[:, 0]
    assert loss.mean() == pytest.approx(1.0, abs=0.05)
    assert dev(loss, ratio) == pytest.approx(1.5, abs=0.05)


def test_the_density_ratio_is_1_on_identical_domains_and_that_of_two_normals():
    rng = np.random.default_rng(0)
    source, same, target = rng.normal(size=(600, 5)), rng.normal(size=(300, 5)), rng.normal(loc=[1, 0, 0, 0, 0], size=(300, 5))
    assert density_ratio(source, same, source).mean() == pytest.approx(1, abs=0.1)
    asked = np.array([[-1.0, 0, 0, 0, 0], [1.0, 0, 0, 0, 0]])
    low, high = density_ratio(source, target, asked)
    assert low == pytest.approx(math.exp(-1.5), rel=0.4)
    assert high == pytest.approx(math.exp(0.5), rel=0.4)


def test_a_class_that_is_no_longer_found_is_lost():
    some, none = [[0.9, 0.1]] * 9 + [[0.1, 0.9]], [[0.9, 0.1]] * 10
    assert lost_classes(none, some) == [1]
    assert lost_classes(some, none) == []
    assert lost_classes(none, none) == []


def table(scores: np.ndarray, truth: np.ndarray) -> pd.DataFrame:
    rows = pd.DataFrame({"image": [f"{n}.png" for n in range(len(truth))], "frame": 0, "group_id": [f"g{n}" for n in range(len(truth))]})
    rows = rows.assign(group_kind="patient", truth=np.where(truth == 1, "ill", "well"), view="plain", split="validation")
    rows = rows.assign(p_well=1 - scores, p_ill=scores, logit_well=0.0, logit_ill=np.log(scores / (1 - scores)))
    rows["predicted"] = rows["decision"] = np.where(scores > 0.5, "ill", "well")
    for column in predictions.columns(TASK.names):
        if column not in rows:
            rows[column] = ""
    return rows[predictions.columns(TASK.names)]


def made(quality: float, count: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = np.arange(count) % 2
    return 1 / (1 + np.exp(-(quality * (truth - 0.5) + rng.normal(size=count)))), truth


def test_a_planted_harmful_model_is_not_released_and_an_equal_or_better_one_is():
    good, truth = made(2.0)
    harmful, _ = made(0.2, seed=1)
    source = table(good, truth)
    verdict = not_worse(table(harmful, truth), source, TASK, 0.02)
    assert not verdict.shown
    assert verdict.difference["high"] < 0
    assert "does not exceed -0.020" in verdict.reason
    assert not_worse(source, source, TASK, 0.02).shown
    assert not_worse(table(np.clip(good + 0.3 * (truth - 0.5), 0.01, 0.99), truth), source, TASK, 0.02).shown


def test_few_patients_show_nothing_even_if_both_are_perfect():
    few, truth = made(50.0, 18)
    source = table(np.clip(few, 0.01, 0.99), truth)
    verdict = not_worse(source, source, TASK, 0.02)
    assert not verdict.shown
    assert "too few labelled target patients" in verdict.reason
    assert verdict.difference["value"] is None


def test_two_models_that_err_nowhere_show_as_much_as_there_are_patients():
    """The lower end is that of a single AUROC of 1 (Newcombe's) less 1: not the bootstrap's [0, 0]."""
    for count, shown in ((20, False), (120, False), (240, True)):
        perfect, truth = made(50.0, count)
        source = table(np.clip(perfect, 0.01, 0.99), truth)
        verdict = not_worse(source, source, TASK, 0.02)
        assert verdict.shown == shown
        assert verdict.difference["low"] == pytest.approx(auroc_interval(1.0, count // 2, count // 2).low - 1)


def test_a_worse_model_beside_a_perfect_source_of_few_patients_is_not_released():
    """True AUROC 0.95 beside 1, 10 ill and 10 well: the bootstrap alone let it pass in a fifth of trials."""
    random, truth = np.random.default_rng(0), np.repeat([0, 1], 10)
    ends = []
    for _ in range(60):
        source, worse = (_answers(gap * truth + random.normal(size=20), truth) for gap in (8.0, math.sqrt(2) * norm.ppf(0.95)))
        ends.append(lower_end([worse], [source]))
    assert np.mean(np.array(ends) > -0.03) <= 0.025


def test_a_model_that_is_hardly_another_is_released_with_60_patients_of_each_class():
    random, truth = np.random.default_rng(0), np.repeat([0, 1], 60)
    odds = 1.6 * truth - 0.8 + random.normal(size=120)
    source, alike = (table(1 / (1 + np.exp(-each)), truth) for each in (odds, odds + random.normal(0, 0.05, 120)))
    assert not_worse(alike, source, TASK, 0.02).shown


def test_a_class_that_one_model_did_not_read_has_no_part_in_the_lower_end():
    truth = np.repeat([0, 1], 10)
    source = _answers(8.0 * truth, truth)
    blind = replace(source, probabilities=np.where(truth[:, None] == 1, np.nan, source.probabilities))
    assert lower_end([blind], [source]) is None
    assert lower_end([blind, source], [source, source]) == lower_end([source], [source]) < 0


def _answers(odds: np.ndarray, truth: np.ndarray) -> Cases:
    p, numbers = 1 / (1 + np.exp(-odds)), np.arange(len(truth))
    return Cases(TASK.names, 1, truth, (p > 0.5).astype(int), np.column_stack([1 - p, p]), numbers, len(truth), len(truth))
