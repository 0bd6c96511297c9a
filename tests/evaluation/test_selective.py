"""Risk over coverage against its definition, and what must hold of any order."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medtl.contracts import Task
from medtl.evaluation.cases import from_table
from medtl.evaluation.selective import COVERAGES, confidence, of_cases, risk_coverage


def _by_definition(sure, wrong) -> float:
    """The mean risk of the k surest, k = 1 … n, for distinct confidences."""
    errors = np.asarray(wrong, float)[np.argsort(-np.asarray(sure))]
    return float(np.mean(np.cumsum(errors) / np.arange(1, len(errors) + 1)))


@given(st.lists(st.booleans(), min_size=1, max_size=30))
def test_aurc_is_the_mean_of_the_risks(wrong: list[bool]):
    sure = np.random.default_rng(0).permutation(len(wrong)).astype(float)
    found = risk_coverage(sure, wrong, np.arange(len(wrong)), resamples=10)
    best = _by_definition(-np.arange(len(wrong)), np.sort(wrong))
    assert found.aurc["value"] == pytest.approx(_by_definition(sure, wrong))
    assert found.e_aurc["value"] == pytest.approx(_by_definition(sure, wrong) - best, abs=1e-12)
    assert found.e_aurc["value"] >= -1e-12


def test_equal_confidence_is_the_mean_over_its_orders():
    wrong = np.array([False, True, True, False, False])
    sure = np.array([0.9, 0.8, 0.8, 0.8, 0.1])
    orders = [[0, *middle, 4] for middle in itertools.permutations([1, 2, 3])]
    expected = np.mean([_by_definition(-np.arange(5.0), wrong[order]) for order in orders])
    assert risk_coverage(sure, wrong, np.arange(5)).aurc["value"] == pytest.approx(expected)


def test_the_curve_by_hand():
    """Of 20 images the 4 mistakes are the least sure: no risk up to 80 %, then 4 of 20; the band says how sure of that one can be."""
    wrong = np.arange(20) >= 16
    found = risk_coverage(-np.arange(20.0), wrong, np.arange(20))
    assert found.risk[COVERAGES <= 0.8] == pytest.approx(0)
    assert found.risk[-1] == pytest.approx(0.2)
    assert found.risk[COVERAGES == 0.9] == pytest.approx(2 / 18)
    assert found.e_aurc["value"] == pytest.approx(0)
    assert (found.high[COVERAGES <= 0.8] > 0.15).all()
    assert found.aurc["low"] is None
    assert "fewer than 10 groups with a mistake" in found.aurc["reason"]


def test_confidence_is_the_distance_from_the_threshold_in_log_odds(make_table):
    table = make_table([0, 1, 1], [[0.95, 0.05], [0.5, 0.5], [0.9, 0.1]], predicted=[0, 1, 1])
    cases = from_table(table, Task(classes={"a": (), "b": ()}))
    assert np.argsort(confidence(cases, 0.1)).tolist() == [2, 0, 1]
    assert confidence(cases).tolist() == pytest.approx([0.95, 0.5, 0.1])  # of what was called


def test_rows_repeated_within_patients_change_nothing(make_table, draw):
    truth, p, groups = draw(np.random.default_rng(0), 150, 1, [0.6, 0.4], 0.9)
    task = Task(classes={"a": (), "b": ()})
    once = of_cases(from_table(make_table(truth, p, groups), task), 0.4)
    five = [np.repeat(each, 5, axis=0) for each in (truth, p, groups)]
    again = of_cases(from_table(make_table(*five), task), 0.4)
    width = once.aurc["high"] - once.aurc["low"]
    assert again.aurc["value"] == pytest.approx(once.aurc["value"], abs=0.01)
    assert again.aurc["high"] - again.aurc["low"] == pytest.approx(width, rel=0.05)
    inner = COVERAGES > 0.3
    assert again.high[inner] == pytest.approx(once.high[inner], abs=0.02)


def test_areas_hold_the_truth(make_table, draw):
    task, random, runs = Task(classes={"a": (), "b": ()}), np.random.default_rng(1), 120
    large = from_table(make_table(*draw(random, 40_000, 1, [0.6, 0.4], 1.0)[:2]), task)
    true = {name: getattr(of_cases(large, resamples=2), name)["value"] for name in ("aurc", "e_aurc")}
    held = dict.fromkeys(true, 0)
    for _ in range(runs):
        truth, p, groups = draw(random, 100, 2, [0.6, 0.4], 1.0)
        found = of_cases(from_table(make_table(truth, p, groups), task), resamples=300)
        for name in held:
            held[name] += getattr(found, name)["low"] <= true[name] <= getattr(found, name)["high"]
    assert {name: count / runs for name, count in held.items() if count / runs < 0.9} == {}  # nominal 0.95
