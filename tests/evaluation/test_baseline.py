"""Figures of an answer that is no model's, against scikit-learn."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, roc_auc_score

from medtl.errors import MedtlError
from medtl.evaluation import baseline


@pytest.mark.parametrize("classes", [2, 3])
def test_figures_are_scikit_learns(classes):
    random = np.random.default_rng(0)
    truth = random.integers(0, classes, 120)
    shares = random.dirichlet(np.ones(classes), 120) + 0.4 * np.eye(classes)[truth]
    shares /= shares.sum(axis=1, keepdims=True)
    found = baseline.figures(shares, np.eye(classes)[truth], np.arange(120), 1 if classes == 2 else None)
    expected = roc_auc_score(truth, shares[:, 1] if classes == 2 else shares, multi_class="ovr")
    assert found["auroc"]["value"] == pytest.approx(expected)
    assert found["auroc"]["low"] < expected < found["auroc"]["high"]
    assert found["accuracy"]["value"] == pytest.approx(accuracy_score(truth, shares.argmax(axis=1)))


def test_unread_images_are_missed_and_not_ranked():
    truth, shares = np.eye(2)[[0, 0, 1, 1]], np.array([[0.9, 0.1], [np.nan, np.nan], [0.2, 0.8], [0.4, 0.6]])
    found = baseline.figures(shares, truth, np.arange(4), 1)
    assert found["accuracy"]["value"] == pytest.approx(0.75)
    assert found["auroc"]["value"] == 1
    assert baseline.figures(shares[:1], truth[:1], np.arange(1), 1)["auroc"]["value"] is None


def test_unknown_findings_take_no_part_and_have_no_accuracy():
    truth = np.array([[1, 0], [0, np.nan], [1, 1], [0, np.nan]])
    shares = np.array([[0.9, 0.1], [0.2, 0.9], [0.8, 0.7], [0.1, 0.9]])
    found = baseline.figures(shares, truth, np.arange(4), None)
    assert found["auroc"]["value"] == 1
    assert "accuracy" not in found


def test_the_file_keeps_other_splits_and_says_what_is_wrong_with_it(tmp_path):
    assert baseline.read(tmp_path) == {}
    baseline.write(tmp_path, "validation", {"neighbours": {"reason": "no features"}})
    baseline.write(tmp_path, "test", {"neighbours": {"auroc": {"value": 0.5, "low": 0.4, "high": 0.6}}})
    assert set(baseline.read(tmp_path)) == {"validation", "test"}
    content = json.loads((tmp_path / baseline.FILE).read_text())
    (tmp_path / baseline.FILE).write_text(json.dumps({**content, "format": 2}))
    with pytest.raises(MedtlError, match="format 2"):
        baseline.read(tmp_path)
    (tmp_path / baseline.FILE).write_text("{")
    with pytest.raises(MedtlError, match="cut or damaged"):
        baseline.read(tmp_path)
