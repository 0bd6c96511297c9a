"""Shares of classes without labels: by hand, against maximum likelihood, inside their intervals; and when they are not to be shown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize_scalar

from medtl.shift.columns import coded
from medtl.shift.distances import gaussian, median_distance
from medtl.shift.examine import Sample
from medtl.shift.label_shift import Check, check
from medtl.shift.prevalence import Labelled, bbse, em, estimated


def test_bbse_by_hand() -> None:
    """Sensitivity 0.8, specificity 0.9; 31 of 100 answers at the target are ill: 0.31 = 0.8 q + 0.1 (1 - q), so q = 0.3."""
    truth = [0] * 10 + [1] * 10
    predicted = [0] * 9 + [1] + [1] * 8 + [0] * 2
    found = bbse(truth, predicted, [1] * 31 + [0] * 69, 2)
    assert found is not None
    np.testing.assert_allclose(found, [0.7, 0.3])


def test_bbse_says_nothing_where_answers_do_not_tell_the_classes() -> None:
    assert bbse([0, 0, 1, 1], [0, 1, 0, 1], [0, 1], 2) is None
    assert bbse([0, 0], [0, 0], [0, 1], 2) is None


def test_bbse_never_leaves_the_simplex() -> None:
    found = bbse([0] * 10 + [1] * 10, [0] * 9 + [1] + [1] * 8 + [0] * 2, [0] * 50, 2)
    assert found is not None
    assert found.tolist() == [1.0, 0.0]


def test_em_is_the_maximum_of_the_likelihood() -> None:
    rng = np.random.default_rng(0)
    prior = np.array([0.6, 0.4])
    p = rng.beta(1, 2, size=200)
    given = np.column_stack([1 - p, p])

    def minus_likelihood(share: float) -> float:
        return -float(np.log((given / prior) @ [1 - share, share]).sum())

    best = minimize_scalar(minus_likelihood, bounds=(1e-6, 1 - 1e-6), method="bounded", options={"xatol": 1e-9})
    assert em(prior, given)[1] == pytest.approx(best.x, abs=1e-4)


def _labelled(sample: Sample) -> Labelled:
    assert sample.predicted is not None
    assert sample.probabilities is not None
    truth = sample.truth if sample.truth is not None else np.full(len(sample), -1)
    return Labelled(sample.groups, sample.predicted, sample.probabilities, truth)


def _checked(source: Sample, target: Sample) -> Check:
    ours, theirs = _labelled(source), _labelled(target)
    rows = np.vstack([source.features, target.features])
    answers = [coded(pd.Series(np.r_[ours.probabilities[:, 1], theirs.probabilities[:, 1]], name="p"))]
    return check(ours, theirs, gaussian(rows, median_distance(rows)), [answers], estimated(ours, theirs)[0].value, draws=100)


@pytest.mark.parametrize("ill", [0.15, 0.5, 0.75])
def test_another_share_of_ill_is_recognised_and_lies_in_its_intervals(hospital, ill) -> None:
    source, target = hospital(200, seed=1), hospital(160, seed=2, ill=ill)
    for found in estimated(_labelled(source), _labelled(target)):
        assert found.low[1] <= float(np.mean(target.truth)) <= found.high[1]
        assert found.high[1] - found.low[1] < 0.3
    assert _checked(source, target).passes


def test_other_images_are_no_other_share(hospital) -> None:
    assert not _checked(hospital(200, seed=1), hospital(160, seed=3, moved=1.5)).passes
    assert not _checked(hospital(200, seed=1), hospital(160, seed=4, ill=0.2, moved=1.5)).passes


def test_too_few_patients_are_not_judged(hospital) -> None:
    found = _checked(hospital(40, seed=1, ill=0.1), hospital(160, seed=2, ill=0.9))
    assert found.p is None
    assert "fewer than 10 patients of a class" in found.why


def test_intervals_hold_the_truth_about_as_often_as_they_say(hospital, monkeypatch) -> None:
    monkeypatch.setattr("medtl.shift.prevalence.BOOTSTRAPS", 100)
    held = {"BBSE": 0, "EM": 0}
    for seed in range(25):
        for found in estimated(_labelled(hospital(80, seed=1000 + seed)), _labelled(hospital(80, seed=5000 + seed, ill=0.3)), seed):
            held[found.method] += bool(found.low[1] <= 0.3 <= found.high[1])  # of the population, not of this sample
    assert min(held.values()) >= 21


def test_em_is_left_out_where_it_misses_the_shares_of_its_own_source(hospital) -> None:
    """Answers that are right, with probabilities that are too cautious and all a little high: EM would be far off."""
    source, target = hospital(60, seed=1), hospital(100, seed=2)
    assert [found.method for found in estimated(_labelled(source), _labelled(target))] == ["BBSE", "EM"]
    cautious = []
    for side in (_labelled(source), _labelled(target)):
        logit = 0.3 * np.log(side.probabilities[:, 1] / side.probabilities[:, 0]) + 0.8
        ill = 1 / (1 + np.exp(-logit))
        cautious.append(replace(side, probabilities=np.column_stack([1 - ill, ill])))
    (alone,) = estimated(*cautious)
    assert alone.method == "BBSE"
    assert alone.low[1] <= float(np.mean(target.truth)) <= alone.high[1]
    assert em([0.5, 0.5], cautious[1].probabilities)[1] > alone.high[1]


def test_patients_of_both_classes_may_not_suffice_to_be_drawn(hospital) -> None:
    source = _labelled(hospital(40, seed=1))
    both = replace(source, truth=np.tile([0, 1], 40))
    found = check(both, _labelled(hospital(60, seed=2)), None, [], np.array([1.0, 0.0]), draws=20)
    assert found.p is None
    assert found.why == "the source has too few patients of a class to draw 20 with the estimated shares"
