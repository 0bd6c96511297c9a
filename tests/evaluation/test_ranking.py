"""AUROC and AUPRC against scikit-learn, ties and weights included."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from medtl.evaluation import ranking


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6), st.integers(0, 3)), min_size=1, max_size=40))
def test_weighted_areas_equal_scikit_learn(rows: list[tuple[bool, int, int]]):
    side, score, weight = (np.array(column) for column in zip(*rows, strict=True))
    order = ranking.rank(side, score)
    auroc, auprc = ranking.curves_areas(order, weight[:, None].astype(float), np.arange(len(rows)))
    if not weight[side].sum() or not weight[~side].sum():
        assert np.isnan(auroc[0])
        assert np.isnan(auprc[0])
        return
    drawn = np.repeat(np.arange(len(rows)), weight)
    assert auroc[0] == pytest.approx(roc_auc_score(side[drawn], score[drawn]))
    assert auprc[0] == pytest.approx(average_precision_score(side[drawn], score[drawn]))


def test_many_weightings_at_once_and_by_group():
    random = np.random.default_rng(0)
    groups, side, score = random.integers(0, 30, 200), random.random(200) < 0.3, random.normal(size=200).round(1)
    counts = random.integers(0, 4, (30, 7)).astype(np.float32)
    auroc, auprc = ranking.curves_areas(ranking.rank(side, score), counts, groups)
    for column in range(7):
        weights = counts[groups, column]
        assert auroc[column] == pytest.approx(roc_auc_score(side, score, sample_weight=weights), abs=1e-6)
        assert auprc[column] == pytest.approx(average_precision_score(side, score, sample_weight=weights), abs=1e-6)


def test_macro_and_positive_class(draw):
    truth, p, _ = draw(np.random.default_rng(1), 150, 1, [0.6, 0.3, 0.1])
    assert ranking.auroc(truth, p) == pytest.approx(roc_auc_score(truth, p, multi_class="ovr", average="macro"))
    assert ranking.auprc(truth, p) == pytest.approx(average_precision_score(np.eye(3)[truth], p, average="macro"))
    truth, p, _ = draw(np.random.default_rng(2), 80, 1, [0.7, 0.3])
    assert ranking.auprc(truth, p) == pytest.approx(average_precision_score(truth == 1, p[:, 1]))
    assert ranking.auprc(truth, p, positive=0) == pytest.approx(average_precision_score(truth == 0, p[:, 0]))


def test_absent_class_stays_out_of_the_mean_and_one_class_has_no_area():
    truth, p = [0, 0, 1], [[0.8, 0.1, 0.1], [0.5, 0.4, 0.1], [0.1, 0.2, 0.7]]
    assert ranking.auroc(truth, p) == pytest.approx((1 + 0.5) / 2)
    assert np.isnan(ranking.auroc([0, 0], [[0.5, 0.5], [0.1, 0.9]]))
