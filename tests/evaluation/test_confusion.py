"""Counts and what follows from them, against scikit-learn and a table worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from medtl.evaluation import confusion


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=50))
def test_against_scikit_learn(rows: list[tuple[int, int]]):
    truth, predicted = np.array(rows).T
    table, unread = confusion.confusion(truth, predicted, 4)
    assert np.array_equal(table, metrics.confusion_matrix(truth, predicted, labels=range(4)))
    options = {"labels": range(4), "average": None, "zero_division": np.nan}
    present = np.bincount(truth, minlength=4) > 0
    assert np.allclose(confusion.precision(table), metrics.precision_score(truth, predicted, **options), equal_nan=True)
    assert np.allclose(confusion.recall(table, unread), metrics.recall_score(truth, predicted, **options), equal_nan=True)
    assert np.allclose(confusion.f1(table, unread)[present], metrics.f1_score(truth, predicted, **options)[present])
    assert confusion.accuracy(table, unread) == pytest.approx(metrics.accuracy_score(truth, predicted))
    assert confusion.macro(confusion.recall(table, unread)) == pytest.approx(
        np.mean([np.mean(predicted[truth == k] == k) for k in np.unique(truth)])
    )


def test_unread_images_stay_in_the_denominators():
    """Truth a a a b b; a is called a, b, unread; b is called b, unread."""
    table, unread = confusion.confusion([0, 0, 0, 1, 1], [0, 1, -1, 1, -1], 2)
    assert table.tolist() == [[1, 1], [0, 1]]
    assert unread.tolist() == [1, 1]
    assert confusion.recall(table, unread) == pytest.approx([1 / 3, 1 / 2])
    assert confusion.precision(table) == pytest.approx([1, 1 / 2])
    assert confusion.f1(table, unread) == pytest.approx([2 / 4, 2 / 4])
    assert confusion.accuracy(table, unread) == pytest.approx(2 / 5)


def test_leading_axes():
    table = np.array([[[3, 1], [0, 2]], [[1, 0], [0, 0]]])
    unread = np.zeros((2, 2))
    assert confusion.f1(table, unread)[0] == pytest.approx([6 / 7, 4 / 5])
    assert np.isnan(confusion.f1(table, unread)[1, 1])
    assert confusion.macro(confusion.f1(table, unread)) == pytest.approx([(6 / 7 + 4 / 5) / 2, 1])


def test_nothing_is_not_a_number():
    table, unread = confusion.confusion([], [], 2)
    assert np.isnan(confusion.accuracy(table, unread))
    assert np.isnan(confusion.macro(confusion.recall(table, unread)))
