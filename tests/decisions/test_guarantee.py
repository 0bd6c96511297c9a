"""Thresholds with a guarantee: against Clopper-Pearson limits, tables by hand, and a thousand made hospitals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from statsmodels.stats.proportion import proportion_confint

from medtl.decisions.guarantee import Guaranteed, fewest_groups, fit, most_wrong, of_the_other_side

Floats = np.ndarray
SIMULATIONS = 1000


@given(st.integers(1, 400), st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99]), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_as_many_wrong_as_the_clopper_pearson_limit_allows(groups: int, at_least: float, confidence: float) -> None:
    lower, _ = proportion_confint(groups - np.arange(groups), groups, alpha=2 * (1 - confidence), method="beta")
    allowed = np.flatnonzero(lower >= at_least)
    assert most_wrong(groups, at_least, confidence) == max(allowed, default=-1)
    assert (groups >= fewest_groups(at_least, confidence)) == bool(len(allowed))


def test_how_many_it_takes() -> None:
    """0.95 ** 59 = 0.0485, 0.95 ** 58 = 0.0510; with one miss 93 (a table of attribute sampling, 95 % / 95 %: 59, 93, 124, 153)."""
    assert (fewest_groups(0.95, 0.95), fewest_groups(0.9, 0.95), fewest_groups(0.95, 0.9)) == (59, 29, 45)
    assert [min(n for n in range(1, 200) if most_wrong(n, 0.95, 0.95) >= wrong) for wrong in range(4)] == [59, 93, 124, 153]


def alone(number: int) -> tuple[Floats, Floats]:
    """Every image a group of its own; one draw each."""
    return np.arange(number), np.linspace(0, 1, number, endpoint=False)


def test_a_table_by_hand() -> None:
    p = np.concatenate([[0.1, 0.3, 0.4], np.full(90, 0.8), [0.05, 0.2, 0.35]])
    positive = np.arange(96) < 93
    assert fit(p, positive, *alone(96), "recall", 0.95, 0.95) == Guaranteed(0.25, 93, 1)  # one of 93: between 0.3 and the well 0.2
    assert fit(p, positive, *alone(96), "recall", 0.99, 0.95) == Guaranteed(None, 93, None)
    found = fit(1 - p, ~positive, *alone(96), "specificity", 0.95, 0.95)
    assert found == Guaranteed(pytest.approx(0.75), 93, 1)
    assert fit(p, ~positive, *alone(96), "recall", 0.5, 0.9) == Guaranteed(None, 3, None)  # a half at 0.9 takes four
    assert fit(p, np.zeros(96, bool), *alone(96), "recall", 0.5, 0.9) == Guaranteed(None, 0, None)


def test_the_price_by_hand() -> None:
    """Of three well patients one image each counts, by the smaller draw: 0.3, 0.6 and 0.7; below 0.5 lies one."""
    p, positive = [0.9, 0.3, 0.8, 0.6, 0.2, 0.7], [True, False, False, False, False, False]
    groups, drawn = [0, 1, 1, 2, 2, 3], [0.5, 0.1, 0.2, 0.3, 0.4, 0.5]
    assert of_the_other_side(p, positive, groups, drawn, "recall", 0.5) == (3, 1)
    swapped = [not each for each in positive]
    assert of_the_other_side(p, swapped, groups, drawn, "specificity", 0.5) == (3, 2)
    assert of_the_other_side([0.5], [False], [0], [0], "recall", 0.5) == (1, 0), "positive from the threshold on"


def test_ends_of_the_scale() -> None:
    ones, zeros = np.ones(60), np.zeros(60)
    assert fit(ones, zeros == 1, *alone(60), "specificity", 0.95, 0.95).threshold is None, "no threshold lies above a probability of 1"
    assert fit(zeros, zeros == 0, *alone(60), "recall", 0.95, 0.95) == Guaranteed(0.0, 60, 0)
    almost = np.full(60, np.nextafter(1, 0))
    assert fit(almost, zeros == 1, *alone(60), "specificity", 0.95, 0.95) == Guaranteed(1.0, 60, 0)


@given(
    st.lists(st.tuples(st.integers(0, 40), st.booleans(), st.integers(0, 99)), min_size=1, max_size=120),
    st.sampled_from(["recall", "specificity"]),
)
def test_what_it_says_of_its_cases_is_so(rows: list[tuple[int, bool, int]], measure: str) -> None:
    groups, positive, p = (np.array(column) for column in zip(*rows, strict=True))
    p, drawn = p / 99, np.random.default_rng(0).random(len(rows))
    found = fit(p, positive, groups, drawn, measure, 0.7, 0.8)  # type: ignore[arg-type]
    side = positive == (measure == "recall")
    assert found.groups == len(set(groups[side]))
    if found.threshold is None:
        return
    counted = [min(np.flatnonzero(side & (groups == group)), key=lambda row: drawn[row]) for group in set(groups[side])]
    wrong = (p[counted] >= found.threshold) != (measure == "recall")
    assert found.wrong == wrong.sum() <= most_wrong(found.groups, 0.7, 0.8)


def hospital(chance: np.random.Generator, patients: int, harder_with_more: float) -> tuple[Floats, Floats]:
    """Ill patients of one to six images that are alike (correlation 0.8): probabilities, and whose each is."""
    sizes = chance.integers(1, 7, patients)
    centre = 1.5 - harder_with_more * sizes + chance.normal(0, np.sqrt(0.8), patients)
    groups = np.repeat(np.arange(patients), sizes)
    return norm.cdf(centre[groups] + chance.normal(0, np.sqrt(0.2), len(groups))), groups


def true_recall(threshold: float, harder_with_more: float) -> float:
    """Of a patient drawn at random and one of the patient's images: the mean over the six sizes."""
    return float(np.mean(norm.sf(norm.ppf(threshold), 1.5 - harder_with_more * np.arange(1, 7))))


@pytest.mark.parametrize("harder_with_more", [0.0, 0.2])
def test_the_guarantee_is_broken_in_no_more_than_one_of_twenty_hospitals(harder_with_more: float) -> None:
    """Also where images cluster; taking every image for a case of its own breaks it three times as often."""
    chance, broken, naive = np.random.default_rng(7), 0, 0
    for _ in range(SIMULATIONS):
        p, groups = hospital(chance, 100, harder_with_more)
        ill, drawn = np.ones(len(p), bool), chance.random(len(p))
        honest = fit(p, ill, groups, drawn, "recall", 0.9, 0.95)
        by_image = fit(p, ill, np.arange(len(p)), drawn, "recall", 0.9, 0.95)
        assert honest.threshold is not None
        assert by_image.threshold is not None
        broken += true_recall(honest.threshold, harder_with_more) < 0.9
        naive += true_recall(by_image.threshold, harder_with_more) < 0.9
    assert 0.01 * SIMULATIONS < broken <= 0.05 * SIMULATIONS, "not broken too often, and not bought by a threshold that is far too low"
    assert harder_with_more > 0 or naive > 0.15 * SIMULATIONS
