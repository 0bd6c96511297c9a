"""Columns: distances against scipy and by hand, one test for all of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp

from medtl.shift.columns import ColumnShift, coded, compare, distance, mean_difference
from medtl.shift.draws import null_and_observed
from medtl.shift.text import column_sentence


def test_numbers_by_kolmogorov_smirnov() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=50).round(1), rng.normal(0.4, 1, size=30).round(1)
    column = coded(pd.Series(np.r_[x, y], name="x"))
    assert distance(column, np.arange(50), np.arange(50, 80)) == pytest.approx(ks_2samp(x, y).statistic)


def test_words_by_total_variation() -> None:
    column = coded(pd.Series(["a"] * 6 + ["b"] * 4 + ["a"] * 2 + ["c"] * 8, name="x"))
    assert column.numbers is None
    assert distance(column, np.arange(10), np.arange(10, 20)) == pytest.approx((0.4 + 0.4 + 0.8) / 2)


def test_the_unknown_are_a_value() -> None:
    column = coded(pd.Series([1.0, 2.0, 3.0, 4.0, np.nan, np.nan, 1.5, 2.5], name="x"))
    assert distance(column, np.arange(4), np.arange(4, 8)) == 0.5


def test_weights_are_repeated_rows() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=6), rng.normal(size=5)
    weights = np.array([1, 3, 1, 2, 1, 1])
    column = coded(pd.Series(np.r_[x, y], name="x"))
    assert distance(column, np.arange(6), np.arange(6, 11), weights.astype(float)) == pytest.approx(
        ks_2samp(np.repeat(x, weights), y).statistic
    )


def test_standardised_mean_difference_by_hand() -> None:
    assert mean_difference([1, 2, 3], [3, 5, 7, np.nan]) == pytest.approx((5 - 2) / np.sqrt((1 + 4) / 2))
    assert mean_difference([1, 1], [1, 1]) is None


def test_what_moved_stands_out_and_nothing_else() -> None:
    rng = np.random.default_rng(2)
    source = pd.DataFrame({f"c{k}": rng.normal(size=200) for k in range(12)})
    target = pd.DataFrame({f"c{k}": rng.normal(0.8 if k == 3 else 0.0, 1, size=150) for k in range(12)})
    drawn = null_and_observed(np.arange(200), np.arange(150), draws=100)
    assert drawn is not None
    found = compare(source.assign(other="x"), target.assign(other="x"), *drawn)
    assert found is not None
    assert [column.name for column in found.columns if column.stands_out] == ["c3"]
    assert found.p == pytest.approx(1 / 101)
    assert found.columns[0].difference == pytest.approx(mean_difference(source["c3"], target["c3"]))


def test_a_column_that_never_varied_at_the_source_stands_out_by_more_than_one_image() -> None:
    rng = np.random.default_rng(3)
    source = pd.DataFrame({"bits": ["8"] * 100, "x": rng.normal(size=100)})
    drawn = null_and_observed(np.arange(100), np.arange(50), draws=100)
    assert drawn is not None
    for count, stands_out in ((1, False), (40, True)):
        target = pd.DataFrame({"bits": ["12"] * count + ["8"] * (50 - count), "x": rng.normal(size=50)})
        found = compare(source, target, *drawn)
        assert found is not None
        assert {column.name: column.stands_out for column in found.columns}["bits"] is stands_out


def test_a_direction_is_said_only_where_the_mean_moved() -> None:
    column = ColumnShift("border", 0.4, 0.2, 5.0, True, -0.04, source="0.3118", target="0.3129")
    assert column_sentence(column) == "border is spread otherwise (0.3129 against 0.3118 in the middle)"
    assert column_sentence(replace(column, difference=0.5)).startswith("border is higher (")
