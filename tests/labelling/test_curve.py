"""Many draws of labels as one curve: against scikit-learn, and intervals that say what they should."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from medtl.evaluation.crossed import interval
from medtl.evaluation.judge import Judge
from medtl.labelling.choosing import AT_RANDOM, FOR_VARIETY
from medtl.labelling.curve import Curve

ALONE = "target alone"


@pytest.fixture
def judge():
    return Judge(np.random.default_rng(0).integers(0, 2, 120), np.arange(120) // 2, 1, np.random.default_rng(1).uniform(size=120))


def curve(judge, cells):
    """Of (answers of every draw) by cell."""
    return Curve(
        {cell: judge.repeated(given) for cell, given in cells.items()}, ALONE, {cell: judge.matched(given) for cell, given in cells.items()}
    )


def answers(judge, strength, draws=12, seed=0):
    chance = np.random.default_rng(seed)
    raised = [strength * judge.truth + chance.normal(size=len(judge.truth)) for _ in range(draws)]
    p = [1 / (1 + np.exp(-each)) for each in raised]
    return [np.stack([1 - each, each], axis=1) for each in p]


def test_a_cell_is_the_mean_auroc_of_its_draws(judge):
    given = answers(judge, 1.0)
    (row,) = curve(judge, {(ALONE, AT_RANDOM, 10): given}).rows()
    expected = np.mean([roc_auc_score(judge.truth, each[:, 1]) for each in given])
    assert row.auroc == pytest.approx(expected)
    assert row.low < expected < row.high
    assert np.isnan(row.gain), "the reference is not held against itself"


def test_another_way_is_held_against_as_many_labels_of_the_target_alone(judge):
    weak, strong = answers(judge, 0.5), answers(judge, 2.5, seed=1)
    cells = {(ALONE, AT_RANDOM, 10): weak, ("jointly", AT_RANDOM, 10): strong, ("jointly", FOR_VARIETY, 25): strong}
    found = {(row.learned, row.labels): row for row in curve(judge, cells).rows()}
    assert found["jointly", 10].gain == pytest.approx(judge.repeated(strong).mean - judge.repeated(weak).mean)
    assert found["jointly", 10].clear
    assert np.isnan(found["jointly", 25].gain), "nothing with 25 labels to hold it against"


def test_equal_ways_are_not_told_apart(judge):
    cells = {
        (ALONE, AT_RANDOM, 10): answers(judge, 1.0),
        ("jointly", AT_RANDOM, 10): answers(judge, 1.0, seed=9),
    }
    assert not any(row.clear for row in curve(judge, cells).rows())


def test_what_needs_no_label_is_a_level_line(judge):
    one = answers(judge, 1.0)
    points = curve(judge, {("source", "", 0): one, (ALONE, AT_RANDOM, 10): one, (ALONE, AT_RANDOM, 50): one}).points()
    assert points[points["arm"] == "source"]["labels"].tolist() == [10, 50]


def test_what_exposure_gives_is_gone_among_images_of_like_brightness():
    """An answer that follows brightness alone ranks well, but not within a fifth of it; one that knows the class keeps its AUROC."""
    chance = np.random.default_rng(0)
    truth = chance.integers(0, 2, 2000)
    brightness = truth + chance.normal(size=2000)
    judge = Judge(truth, np.arange(2000), 1, brightness)
    p = 1 / (1 + np.exp(-brightness))
    follows, knows = np.stack([1 - p, p], axis=1), answers(judge, 1.5, draws=1)[0]
    assert judge.repeated([follows, follows]).mean > 0.7
    assert judge.matched([follows]).mean < 0.6
    assert judge.matched([knows]).mean == pytest.approx(judge.repeated([knows, knows]).mean, abs=0.02)
    fifth = np.searchsorted(np.quantile(brightness, [0.2, 0.4, 0.6, 0.8]), brightness, side="right")
    won = total = 0.0
    for part in range(5):
        ill, well = knows[(fifth == part) & (truth == 1), 1], knows[(fifth == part) & (truth == 0), 1]
        won, total = won + (ill[:, None] > well[None]).sum(), total + len(ill) * len(well)
    assert judge.matched([knows]).mean == pytest.approx(won / total)


def test_the_interval_among_images_of_like_brightness_is_that_of_a_bootstrap_over_patients():
    chance = np.random.default_rng(0)
    truth, groups = np.repeat(chance.integers(0, 2, 60), 2), np.repeat(np.arange(60), 2)
    judge = Judge(truth, groups, 1, truth + 2 * chance.normal(size=120))
    p = answers(judge, 1.0, draws=1)[0]
    fifth = np.searchsorted(np.quantile(judge.brightness, [0.2, 0.4, 0.6, 0.8]), judge.brightness, side="right")
    drawn = []
    for _ in range(400):
        rows = np.concatenate([np.flatnonzero(groups == group) for group in chance.integers(0, 60, 60)])
        pairs = (truth[rows][:, None] > truth[rows]) & (fifth[rows][:, None] == fifth[rows])
        drawn.append((p[rows, 1][:, None] > p[rows, 1])[pairs].mean())
    low, high = interval(judge.matched([p]))
    assert high - low == pytest.approx(2 * 2.0 * np.std(drawn), rel=0.12)
