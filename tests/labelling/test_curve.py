"""Many draws of labels as one curve: against scikit-learn, and intervals that say what they should."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from medtl.labelling.choosing import AT_RANDOM, FOR_VARIETY
from medtl.labelling.curve import Curve, Judge

ALONE = "target labels alone"


@pytest.fixture
def judge():
    return Judge(np.random.default_rng(0).integers(0, 2, 120), np.arange(120) // 2, 1)


def answers(judge, strength, draws=12, seed=0):
    chance = np.random.default_rng(seed)
    raised = [strength * judge.truth + chance.normal(size=len(judge.truth)) for _ in range(draws)]
    p = [1 / (1 + np.exp(-each)) for each in raised]
    return [np.stack([1 - each, each], axis=1) for each in p]


def test_a_cell_is_the_mean_auroc_of_its_draws(judge):
    given = answers(judge, 1.0)
    (row,) = Curve({(ALONE, AT_RANDOM, 10): judge.repeated(given)}, ALONE).rows()
    expected = np.mean([roc_auc_score(judge.truth, each[:, 1]) for each in given])
    assert row.auroc == pytest.approx(expected)
    assert row.low < expected < row.high
    assert np.isnan(row.gain), "the reference is not held against itself"


def test_another_way_is_held_against_as_many_labels_of_the_target_alone(judge):
    weak, strong = judge.repeated(answers(judge, 0.5)), judge.repeated(answers(judge, 2.5, seed=1))
    cells = {(ALONE, AT_RANDOM, 10): weak, ("jointly", AT_RANDOM, 10): strong, ("jointly", FOR_VARIETY, 25): strong}
    found = {(row.learned, row.labels): row for row in Curve(cells, ALONE).rows()}
    assert found["jointly", 10].gain == pytest.approx(strong.mean - weak.mean)
    assert found["jointly", 10].clear
    assert np.isnan(found["jointly", 25].gain), "nothing with 25 labels to hold it against"


def test_equal_ways_are_not_told_apart(judge):
    cells = {
        (ALONE, AT_RANDOM, 10): judge.repeated(answers(judge, 1.0)),
        ("jointly", AT_RANDOM, 10): judge.repeated(answers(judge, 1.0, seed=9)),
    }
    assert not any(row.clear for row in Curve(cells, ALONE).rows())


def test_what_needs_no_label_is_a_level_line(judge):
    one = judge.repeated(answers(judge, 1.0))
    points = Curve({("source", "", 0): one, (ALONE, AT_RANDOM, 10): one, (ALONE, AT_RANDOM, 50): one}, ALONE).points()
    assert points[points["arm"] == "source"]["labels"].tolist() == [10, 50]
