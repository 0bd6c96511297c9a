"""Differences of two models on the same images, against references written out by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, brier_score_loss, f1_score, recall_score, roc_auc_score
from statsmodels.stats.contingency_tables import mcnemar

from medtl.evaluation.cases import Cases, from_table
from medtl.evaluation.contrast import contrast
from medtl.evaluation.influence import both_read, figures
from medtl.evaluation.paired import difference


def _pair(make_table: Callable[..., Any], seed: int, size: int = 1, patients: int = 120, lift: float = 1.6) -> tuple[Any, ...]:
    """Two tables of models whose mistakes go together, on patients of `size` images."""
    random = np.random.default_rng(seed)
    groups = np.repeat(np.arange(patients), size)
    truth = (np.arange(patients) % 3 == 0).astype(int)[groups]
    hard = random.normal(size=patients)[groups] * 1.2
    scores = [1 / (1 + np.exp(-(each * truth + hard + random.normal(size=len(truth)) * 0.5 - 1))) for each in (lift, 1.6)]
    tables = [make_table(truth, np.column_stack([1 - s, s]), groups) for s in scores]
    return *tables, truth, scores, groups


def _contrasts(tables: tuple[Any, ...], task: Any) -> Any:
    one, other = (figures(from_table(table, task)) for table in tables[:2])
    return {name: contrast(one[name], other[name]) for name in one}


def test_values_are_scikit_learns(make_table, make_task):
    table, _, truth, (score, _), _ = _pair(make_table, 1, size=2)
    found = {name: each.value for name, each in figures(from_table(table, make_task(2))).items()}
    called = score >= 0.5
    assert found == pytest.approx(
        {
            "auroc": roc_auc_score(truth, score),
            "balanced accuracy": balanced_accuracy_score(truth, called),
            "macro-F1": f1_score(truth, called, average="macro"),
            "accuracy": (truth == called).mean(),
            "sensitivity": recall_score(truth, called),
            "specificity": recall_score(truth, called, pos_label=0),
            "Brier score": brier_score_loss(truth, score),
        }
    )


def test_auroc_of_single_images_is_delongs(make_table, make_task):
    tables = _pair(make_table, 2, lift=2.4)
    _, _, truth, scores, _ = tables
    found = _contrasts(tables, make_task(2))["auroc"]
    ill, well = ([score[truth == side] for score in scores] for side in (1, 0))
    wins = [(a[:, None] > b[None]) + 0.5 * (a[:, None] == b[None]) for a, b in zip(ill, well, strict=True)]  # every pair, by hand
    over_ill = np.cov([won.mean(axis=1) for won in wins]) / len(ill[0])
    over_well = np.cov([won.mean(axis=0) for won in wins]) / len(well[0])
    covariance = over_ill + over_well
    error = np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    assert found.value == pytest.approx(wins[0].mean() - wins[1].mean())
    assert found.error == pytest.approx(error, rel=0.02)  # n / (n - 1) of all groups here, of each side there


def test_accuracy_of_single_images_is_mcnemars(make_table, make_task):
    tables = _pair(make_table, 3, patients=600)
    _, _, truth, scores, _ = tables
    right = [(score >= 0.5) == truth for score in scores]
    table = [[sum(right[0] & right[1]), sum(right[0] & ~right[1])], [sum(~right[0] & right[1]), sum(~right[0] & ~right[1])]]
    expected = mcnemar(table, exact=False, correction=False).pvalue
    assert _contrasts(tables, make_task(2))["accuracy"].p == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(("figure", "name"), [("auroc", "auroc"), ("macro_f1", "macro-F1"), ("balanced_accuracy", "balanced accuracy")])
def test_clustered_differences_agree_with_the_bootstrap_of_groups(make_table, make_task, figure, name):
    tables = _pair(make_table, 4, size=3, lift=2.2)
    found, drawn = _contrasts(tables, make_task(2))[name], difference(*tables[:2], make_task(2), figure)
    assert found.value == pytest.approx(drawn["value"])
    assert found.low == pytest.approx(drawn["low"], abs=0.012)
    assert found.high == pytest.approx(drawn["high"], abs=0.012)


def test_equal_models_are_told_apart_in_one_of_twenty_trials():
    """Three images per patient: without the groups it would be far more."""
    below, groups = [], np.repeat(np.arange(60), 3)
    truth = (np.arange(60) % 3 == 0).astype(np.int64)[groups]
    for seed in range(400):
        random = np.random.default_rng(seed)
        hard = random.normal(size=60)[groups] * 1.2 + 1.6 * truth - 1
        sides = []
        for _ in range(2):
            p = 1 / (1 + np.exp(-hard - np.repeat(random.normal(size=60), 3) - random.normal(size=180) * 0.3))
            sides.append(figures(Cases(("a", "b"), 1, truth, (p >= 0.5).astype(np.int64), np.column_stack([1 - p, p]), groups, 180, 60)))
        below.append([contrast(*(side[name] for side in sides)).p < 0.05 for name in ("auroc", "accuracy")])
    rates = np.mean(below, axis=0)
    assert 0.02 < rates.min() <= rates.max() < 0.085, rates  # 0.05 with three standard errors


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 5), st.integers(0, 10_000))
def test_influences_add_up_to_nothing_and_say_what_a_group_is_worth(make_table, make_task, classes, seed):
    random = np.random.default_rng(seed)
    groups = np.repeat(np.arange(60), 2)
    truth = np.arange(120) % classes
    table = make_table(truth, random.dirichlet(np.ones(classes), 120), groups)
    whole = figures(from_table(table, make_task(classes)))
    for each in whole.values():
        assert each.influence.sum() == pytest.approx(0, abs=1e-9)
    without = figures(from_table(table[table["group_id"] != "g7"], make_task(classes)))
    place = sorted({f"g{group}" for group in range(60)}).index("g7")
    for name, each in whole.items():
        assert without[name].value == pytest.approx(each.value - each.influence[place] * 60 / 59, abs=0.006), name


def test_an_image_that_one_model_could_not_read_ranks_in_neither(make_table, make_task):
    _one, other, truth, scores, _ = _pair(make_table, 6)
    p = np.column_stack([1 - scores[0], scores[0]])
    p[:5] = np.nan
    lost = make_table(truth, p, range(120))
    pair = both_read(from_table(lost, make_task(2)), from_table(other, make_task(2)))
    found = [figures(each) for each in pair]
    place = [int(name.removesuffix(".png")) >= 5 for name in other["image"]]
    assert found[1]["auroc"].value == pytest.approx(roc_auc_score(truth[place], scores[1][place]))
    assert found[0]["accuracy"].value == pytest.approx(np.mean(((scores[0] >= 0.5) == truth) & place))
    assert found[1]["accuracy"].value == pytest.approx(np.mean((scores[1] >= 0.5) == truth))


def test_one_group_of_a_class_gives_no_interval(make_table, make_task):
    truth = [1, *([0] * 20)]
    tables = [make_table(truth, np.column_stack([1 - s, s])) for s in np.random.default_rng(0).uniform(size=(2, 21))]
    found = _contrasts((*tables,), make_task(2))["auroc"]
    assert np.isnan(found.error)
    assert (found.p, found.p_above(-0.5)) == (1.0, 1.0)
