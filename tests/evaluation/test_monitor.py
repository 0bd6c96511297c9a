"""The monitored number against scikit-learn; higher is better for all of them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax
from sklearn import metrics

from medtl.errors import MedtlError
from medtl.evaluation import monitor
from medtl.evaluation.monitor import score


@pytest.fixture
def logits_of(draw):
    def make(prevalence: list[float]):
        truth, p, _ = draw(np.random.default_rng(4), 120, 1, prevalence)
        return truth, np.log(p) * 1.7 + 3

    return make


@pytest.mark.parametrize("prevalence", [[0.7, 0.3], [0.6, 0.3, 0.1]])
def test_against_scikit_learn(logits_of, prevalence: list[float]):
    truth, logits = logits_of(prevalence)
    p, called, k = softmax(logits, axis=1), logits.argmax(axis=1), len(prevalence)
    ranked = p[:, 1] if k == 2 else p
    assert score("auroc", truth, logits) == pytest.approx(metrics.roc_auc_score(truth, ranked, multi_class="ovr"))
    assert score("auprc", truth, logits) == pytest.approx(metrics.average_precision_score(truth if k == 2 else np.eye(k)[truth], ranked))
    assert score("macro-f1", truth, logits) == pytest.approx(metrics.f1_score(truth, called, average="macro"))
    assert score("balanced-accuracy", truth, logits) == pytest.approx(metrics.balanced_accuracy_score(truth, called))
    assert score("loss", truth, logits) == pytest.approx(-metrics.log_loss(truth, p))


@pytest.mark.parametrize("name", monitor.NAMES)
def test_better_logits_score_higher(name: str):
    truth = np.array([0, 0, 0, 1, 1])
    good, bad = 3.0 * np.eye(2)[truth], 3.0 * np.eye(2)[[0, 1, 1, 1, 0]]
    assert score(name, truth, good) > score(name, truth, bad) > score(name, truth, np.full((5, 2), np.nan))


def test_confident_logits_do_not_tie():
    """Softmax rounds both to 1.0; the log-odds still rank them."""
    assert score("auroc", [0, 1], [[0.0, 50.0], [0.0, 60.0]]) == 1.0


def test_positive_class_counts_for_auprc(logits_of):
    truth, logits = logits_of([0.7, 0.3])
    assert score("auprc", truth, logits, positive=0) == pytest.approx(
        metrics.average_precision_score(truth == 0, logits[:, 0] - logits[:, 1])
    )


@pytest.mark.parametrize(
    ("name", "truth", "logits", "message"),
    [
        ("auroq", [0], [[0.0, 1.0]], "did you mean 'auroc'"),
        ("loss", [], np.zeros((0, 2)), "not empty"),
        ("loss", [0, 1], [[0.0, 1.0]], "expected"),
        ("auroc", [1, 1], [[0.0, 1.0], [1.0, 0.0]], "at least two classes"),
    ],
)
def test_refusals(name: str, truth: list[int], logits: object, message: str):
    with pytest.raises(MedtlError, match=message):
        score(name, truth, logits)
