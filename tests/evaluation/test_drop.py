"""The difference of two independent estimates: worked by hand, against statsmodels, and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import confint_proportions_2indep

from medtl.contracts import Task
from medtl.evaluation.delong import clustered_error, interval
from medtl.evaluation.drop import difference, overall, own_split, per_class, worse
from medtl.evaluation.intervals import wilson

TASK = Task(classes={"well": ("well",), "ill": ("ill",)}, positive="ill")
share = st.floats(0, 1)


def figure(value: float, low: float, high: float) -> dict[str, float]:
    return {"value": value, "low": low, "high": high}


def test_by_hand_both_variances_add_up():
    found = difference(figure(0.70, 0.62, 0.76), figure(0.90, 0.86, 0.93))
    assert found["value"] == pytest.approx(-0.20)
    assert found["low"] == pytest.approx(-0.20 - math.hypot(0.08, 0.03))
    assert found["high"] == pytest.approx(-0.20 + math.hypot(0.06, 0.04))


def test_of_two_shares_it_is_newcombes_interval():
    here, there = (figure(hits / n, *wilson(hits / n, n)) for hits, n in ((56, 70), (48, 80)))
    reference = confint_proportions_2indep(56, 70, 48, 80, compare="diff", method="newcomb")
    assert (difference(here, there)["low"], difference(here, there)["high"]) == pytest.approx(reference, abs=1e-6)


@given(st.tuples(share, share, share).map(sorted), st.tuples(share, share, share).map(sorted))
def test_it_holds_its_value_and_is_wider_than_either(one, other):
    here, there = figure(one[1], one[0], one[2]), figure(other[1], other[0], other[2])
    found, back = difference(here, there), difference(there, here)
    assert -1 - 1e-9 <= found["low"] <= found["value"] <= found["high"] <= 1 + 1e-9
    assert found["high"] - found["low"] >= max(one[2] - one[0], other[2] - other[0]) - 1e-9
    assert (back["low"], back["high"]) == pytest.approx((-found["high"], -found["low"]))


@pytest.mark.parametrize("lacking", ["here", "there"])
def test_what_is_lacking_is_said_by_side(lacking: str):
    full, none = figure(0.9, 0.8, 0.95), {"value": None, "reason": "no cases"}
    found = difference(*((none, full) if lacking == "here" else (full, none)))
    assert found == {"value": None, "reason": f"{lacking}: no cases"}
    alone = {"value": 0.9, "low": None, "high": None, "reason": "one group only"}
    found = difference(*((alone, full) if lacking == "here" else (full, alone)))
    assert found["low"] is None
    assert found["reason"] == f"{lacking}: one group only"


def area(seed: int, gap: float, n: int) -> dict[str, float]:
    random = np.random.default_rng(seed)
    event = np.arange(n) % 2 == 0
    found, error = clustered_error(event, random.normal(size=n) + gap * event, np.arange(n))
    return figure(found, *interval(found, error, n // 2))


def test_the_interval_of_a_drop_in_auroc_holds_the_truth():
    from scipy.stats import norm

    truth, held = norm.cdf(1.0 / math.sqrt(2)) - norm.cdf(2.2 / math.sqrt(2)), 0
    for seed in range(200):
        found = difference(area(seed, 1.0, 120), area(10_000 + seed, 2.2, 200))
        held += found["low"] <= truth <= found["high"]
    assert 0.91 <= held / 200 <= 0.99


def entry(auroc: float, half: float, **more) -> dict:
    each = figure(auroc, auroc - half, auroc + half)
    classes = {name: {"recall": each, "prevalence": each, "specificity": each, "auroc": each} for name in ("well", "ill")}
    names = ("auroc", "balanced_accuracy", "macro_f1", "accuracy", "brier")
    return {"n": 10, "per_class": classes, **dict.fromkeys(names, each), **more}


def test_worse_means_higher_for_the_brier_score_and_what_is_not_measured_is_said():
    drops = overall(entry(0.9, 0.02), entry(0.7, 0.02), TASK)
    assert worse(drops) == ["brier"]
    assert worse(overall(entry(0.7, 0.02), entry(0.9, 0.02), TASK))[0] == "auroc"
    assert "brier" not in worse(overall(entry(0.7, 0.02), entry(0.9, 0.02), TASK))
    assert worse(overall(entry(0.7, 0.3), entry(0.9, 0.1), TASK)) == []
    assert drops["calibration_slope"]["difference"] == {"value": None, "reason": "here: not measured"}
    assert drops["sensitivity"]["here"] == entry(0.9, 0.02)["per_class"]["ill"]["recall"]


def test_test_goes_before_validation_and_several_classes_are_compared_one_by_one():
    assert own_split({"splits": {"validation": {"n": 5}, "test": {"n": 7}}}) == ("test", {"n": 7})
    assert own_split({"splits": {"validation": {"n": 5}, "test": {"n": 0}}}) == ("validation", {"n": 5})
    assert own_split({}) is None
    three = Task(classes={name: (name,) for name in ("well", "ill")}, kind="multi")
    found = per_class(entry(0.7, 0.02), entry(0.9, 0.02), three)
    assert list(found) == ["well", "ill"]
    assert found["ill"]["recall"]["difference"]["value"] == pytest.approx(-0.2)
    assert "sensitivity" not in overall(entry(0.7, 0.02), entry(0.9, 0.02), three)
