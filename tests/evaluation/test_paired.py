"""The difference of two models on the same images, against a bootstrap written out by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from medtl.contracts import Task
from medtl.errors import MedtlError
from medtl.evaluation.paired import difference
from medtl.evaluation.summary import summarize
from medtl.findings import unknown_words, words
from medtl.predictions import known_only_of


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


@pytest.fixture
def findings() -> tuple[Task, np.ndarray, list[np.ndarray], list[pd.DataFrame]]:
    """Two models of two findings on 80 patients of 2 images, a fifth of each unknown; the second is worse."""
    random = np.random.default_rng(5)
    task, groups = Task(kind="multi", classes={"a": (), "b": ()}), np.repeat(np.arange(80), 2)
    truth = (random.random((160, 2)) < (0.5, 0.3)).astype(float)
    scores = [1 / (1 + np.exp(-(lift * (truth - 0.5) + random.normal(size=truth.shape)))) for lift in (2.5, 1.2)]
    truth[random.random(truth.shape) < 0.2] = np.nan
    tables = []
    for p in scores:
        called = words(p > 0.5, task.names)
        table = pd.DataFrame({"image": [f"{i}.png" for i in range(160)], "frame": 0, "domain": "", "split": "test", "fold": ""})
        table = table.assign(
            member="", view="plain", group_id=groups.astype(str), truth=words(truth, task.names), unknown=unknown_words(truth, task.names)
        ).assign(**{f"logit_{name}": 0.0 for name in task.names}, **{f"p_{name}": p[:, k] for k, name in enumerate(task.names)})
        tables.append(table.assign(predicted=called, decision=called, reason=""))
    return task, truth, scores, tables


def test_macro_f1_of_findings_is_that_of_their_presence(findings: Any) -> None:
    """As in metrics.json; by hand, the same patients drawn for both findings."""
    task, truth, scores, tables = findings
    found = difference(tables[0], tables[1].sample(frac=1, random_state=1), task, "macro_f1")

    def gap(rows: np.ndarray) -> float:
        known = [rows[np.isfinite(truth[rows, k])] for k in range(2)]
        means = [np.mean([f1_score(truth[known[k], k], p[known[k], k] > 0.5) for k in range(2)]) for p in scores]
        return float(means[0] - means[1])

    assert found["value"] == pytest.approx(gap(np.arange(160)))
    random = np.random.default_rng(11)
    gaps = [gap(_rows(random)) for _ in range(150)]
    assert found["low"] == pytest.approx(np.quantile(gaps, 0.025), abs=0.02)
    assert found["high"] == pytest.approx(np.quantile(gaps, 0.975), abs=0.02)


def _rows(random: np.random.Generator) -> np.ndarray:
    """Two images of each of 80 patients drawn."""
    drawn = random.integers(0, 80, 80)
    return np.concatenate([2 * drawn, 2 * drawn + 1])


def test_an_unknown_finding_of_an_image_moves_no_difference(findings: Any) -> None:
    task, truth, _, tables = findings
    moved = tables[0].assign(p_a=np.where(np.isnan(truth[:, 0]), 0.99, tables[0]["p_a"]))
    assert difference(moved, tables[1], task) == difference(tables[0], tables[1], task)


def test_a_finding_that_nothing_is_known_of_is_left_out(findings: Any) -> None:
    task, truth, scores, tables = findings
    found = difference(*(known_only_of(table, ["a"]) for table in tables), task)
    known = np.isfinite(truth[:, 0])
    areas = [roc_auc_score(truth[known, 0], p[known, 0]) for p in scores]
    assert found["value"] == pytest.approx(areas[0] - areas[1])
    assert found["low"] < found["value"] < found["high"]
    with pytest.raises(MedtlError, match="with and without a finding"):
        difference(*(known_only_of(table, []).assign(truth="none") for table in tables), task)
