"""MCC, kappa and weighted means against scikit-learn; "no answer" as one more thing to be called."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from medtl.evaluation import agreement, confusion

ROWS = st.integers(2, 7).flatmap(lambda k: st.lists(st.tuples(st.integers(0, k - 1), st.integers(-1, k - 1)), min_size=1, max_size=40))


@given(ROWS)
def test_mcc_and_kappa_are_scikit_learns(rows: list[tuple[int, int]]):
    truth, called = np.array(rows).T
    k = max(truth.max(), called.max(), 1) + 1
    table, unread = confusion.confusion(truth, called, k)
    mcc = float(agreement.mcc(table, unread))
    if len(set(truth)) == 1 or len(set(called)) == 1:
        assert np.isnan(mcc)
    else:
        assert mcc == pytest.approx(metrics.matthews_corrcoef(truth, called), abs=1e-9)
    kappa = float(agreement.kappa(table, unread))
    if set(truth) == set(called) and len(set(truth)) == 1:
        assert np.isnan(kappa)
    else:
        assert kappa == pytest.approx(metrics.cohen_kappa_score(truth, called), abs=1e-9)


@given(ROWS)
def test_weighted_means_are_scikit_learns(rows: list[tuple[int, int]]):
    truth, called = np.array(rows).T
    k = max(truth.max(), called.max(), 1) + 1
    table, unread = confusion.confusion(truth, called, k)
    support = table.sum(axis=1) + unread
    ours = [
        float(agreement.by_support(each, support))
        for each in (confusion.precision(table), confusion.recall(table, unread), confusion.f1(table, unread))
    ]
    theirs = metrics.precision_recall_fscore_support(truth, called, labels=range(k), average="weighted", zero_division=0)[:3]
    assert ours == pytest.approx(theirs)
    assert ours[1] == pytest.approx(float(confusion.accuracy(table, unread)))


def test_many_tables_at_once_and_nothing_at_all():
    random = np.random.default_rng(0)
    tables, unread = random.integers(0, 9, (5, 3, 3)), random.integers(0, 3, (5, 3))
    for figure in (agreement.mcc, agreement.kappa, agreement.chance):
        assert figure(tables, unread) == pytest.approx([float(figure(*pair)) for pair in zip(tables, unread, strict=True)])
        assert np.isnan(figure(np.zeros((3, 3)), np.zeros(3)))
