"""The difference of two models on the same images, against a bootstrap written out by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from medtl.errors import MedtlError
from medtl.evaluation.paired import difference
from medtl.evaluation.summary import summarize


@pytest.fixture
def two(make_table: Callable[..., Any]) -> tuple[Any, Any, np.ndarray, np.ndarray, np.ndarray]:
    """A better and a worse model whose mistakes go together, on 80 patients of 1 to 3 images."""
    random = np.random.default_rng(3)
    groups = np.repeat(np.arange(80), random.integers(1, 4, 80))
    truth = (np.arange(80) % 3 == 0).astype(int)[groups]
    hard = random.normal(size=80)[groups] * 1.2
    scores = [1 / (1 + np.exp(-(lift * truth + hard + random.normal(size=len(truth)) * 0.5 - 1))) for lift in (2.6, 1.6)]
    one, other = (make_table(truth, np.column_stack([1 - s, s]), groups) for s in scores)
    return one, other, truth, np.array(scores), groups


def test_the_interval_is_a_paired_bootstraps_over_patients(two: Any, make_task: Callable[[int], Any]) -> None:
    one, other, truth, scores, groups = two
    found = difference(one, other.sample(frac=1, random_state=1), make_task(2))
    assert found["value"] == pytest.approx(roc_auc_score(truth, scores[0]) - roc_auc_score(truth, scores[1]))
    random, gaps = np.random.default_rng(11), []
    rows = [np.flatnonzero(groups == group) for group in range(80)]
    for _ in range(1500):
        drawn = np.concatenate([rows[group] for group in random.integers(0, 80, 80)])
        gaps.append(roc_auc_score(truth[drawn], scores[0][drawn]) - roc_auc_score(truth[drawn], scores[1][drawn]))
    assert found["low"] == pytest.approx(np.quantile(gaps, 0.025), abs=0.01)
    assert found["high"] == pytest.approx(np.quantile(gaps, 0.975), abs=0.01)


def test_pairing_narrows_the_interval(two: Any, make_task: Callable[[int], Any]) -> None:
    """The two share what makes a patient hard, so their difference is surer than that of two models on two sets of patients."""
    one, other, *_ = two
    paired = difference(one, other, make_task(2))
    apart = [summarize(table, make_task(2))["auroc"] for table in (one, other)]
    widths = [each["high"] - each["low"] for each in (paired, *apart)]
    assert 0 < widths[0] < 0.7 * np.hypot(widths[1], widths[2])


def test_figures_that_count_calls_follow_the_stored_rule(two: Any, make_task: Callable[[int], Any]) -> None:
    one, other, truth, scores, _ = two
    found = difference(one, other, make_task(2), "macro_f1")
    macro = [f1_score(truth, score >= 0.5, average="macro") for score in scores]
    assert found["value"] == pytest.approx(macro[0] - macro[1])


def test_a_model_does_not_differ_from_itself(two: Any, make_task: Callable[[int], Any]) -> None:
    assert difference(two[0], two[0], make_task(2)) == {"value": 0, "low": 0, "high": 0}


def test_other_images_or_truths_are_refused(two: Any, make_task: Callable[[int], Any]) -> None:
    one, other, *_ = two
    with pytest.raises(MedtlError, match=r"1 stand in one of them only"):
        difference(one, other.iloc[1:], make_task(2))
    flipped = other.assign(truth=other["truth"].map({"a": "b", "b": "a"}))
    with pytest.raises(MedtlError, match="different truths"):
        difference(one, flipped, make_task(2))
