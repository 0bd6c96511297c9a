"""Calibration against scikit-learn's logistic regression, a hand-worked table, and inputs that break naive fits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import check_grad
from scipy.special import log_softmax
from sklearn.metrics import log_loss

from medtl.decisions import calibration
from medtl.decisions.calibration import Calibration, fit
from medtl.errors import MedtlError


def made(n: int = 4000, classes: int = 3, temperature: float = 2.0, shift: tuple[float, ...] = (0.7, 0.0, -0.7), seed: int = 0):
    """Logits of a network that is `temperature` times too confident and believes in the wrong prevalence."""
    random = np.random.default_rng(seed)
    honest = random.normal(size=(n, classes)) * 2
    p = np.exp(log_softmax(honest, axis=1))
    truth = (random.random(n)[:, None] > p.cumsum(axis=1)).sum(axis=1).clip(0, classes - 1)
    return (honest - np.array(shift)) * temperature, truth


def test_temperature_and_intercept_are_found_again():
    found = fit(*made(n=40000))
    assert found.temperature == pytest.approx(2.0, rel=0.03)
    assert found.intercept == pytest.approx((0.7, 0.0, -0.7), abs=0.05)
    assert sum(found.intercept) == pytest.approx(0, abs=1e-12)


def test_of_many_images_it_is_logistic_regression_on_the_log_odds():
    from sklearn.linear_model import LogisticRegression

    random = np.random.default_rng(1)
    logits = random.normal(size=(20000, 2)) * 3
    odds = logits[:, 1] - logits[:, 0]
    truth = (random.random(20000) < 1 / (1 + np.exp(-(0.4 * odds - 1)))).astype(int)
    reference = LogisticRegression(C=1e9, tol=1e-10).fit(odds[:, None], truth)
    assert fit(logits, truth).apply(logits)[:, 1] == pytest.approx(reference.predict_proba(odds[:, None])[:, 1], abs=2e-3)


def test_hand_worked_intercept():
    """Equal logits, 3 of 4 positive, intercepts -m/2 and m/2: the posterior's slope is sigmoid(m) - 3/4 + (m/2) / (3 · 0.25² + m²/4), zero
    at m = 0.0865; with 40,000 images the prior is nothing and m = log 3."""
    few, many = (fit(np.zeros((4 * times, 2)), [0, 1, 1, 1] * times) for times in (1, 10000))
    assert few.intercept[1] - few.intercept[0] == pytest.approx(0.0865, abs=1e-4)
    assert many.intercept[1] - many.intercept[0] == pytest.approx(math.log(3), abs=2e-3)


def test_a_few_separable_images_are_no_certainty():
    """56 images that a network tells apart without a mistake; the next 2,000 it does not all: their loss must not explode."""
    random = np.random.default_rng(5)
    truth = random.integers(0, 2, 2056)
    odds = np.where(truth == 1, 1.5, -1.5) + random.normal(size=2056)
    few = np.flatnonzero((odds > 0) == truth)[:56]
    found = fit(np.column_stack([-odds, odds])[few] / 2, truth[few])
    assert log_loss(truth, found.apply(np.column_stack([-odds, odds]) / 2)) < 0.3


@pytest.mark.parametrize("scale", [0.03, 1.0, 30.0])
def test_a_network_that_hardly_moved_from_even_odds_is_not_kept_there(scale: float):
    """80 images, told apart with an AUROC of about 0.86: whatever the scale of the logits, probabilities come to mean what they say."""
    random = np.random.default_rng(6)
    truth = random.integers(0, 2, 2080)
    odds = np.where(truth == 1, 1.5, -1.5) / 2 + random.normal(size=2080)
    logits = np.column_stack([-odds, odds]) * scale / 2
    found = fit(logits[:80], truth[:80])
    assert log_loss(truth[80:], found.apply(logits[80:])) < 0.51, "0.47 with all 2,000; 0.69 tells nothing"


@pytest.mark.parametrize("method", ["temperature", "temperature-intercept"])
def test_calibrated_loss_is_lower(method: str):
    logits, truth = made()
    before = log_loss(truth, Calibration.identity(3).apply(logits))
    assert log_loss(truth, fit(logits, truth, method).apply(logits)) < before - 0.02


def test_temperature_alone_keeps_the_ranking_within_each_image():
    logits, truth = made()
    found = fit(logits, truth, "temperature")
    assert found.intercept == (0.0, 0.0, 0.0)
    assert (np.argsort(found.apply(logits), axis=1) == np.argsort(logits, axis=1)).all()


def test_none_is_softmax():
    logits, truth = made(n=10)
    assert np.allclose(fit(logits, truth, "none").apply(logits), np.exp(log_softmax(logits, axis=1)))


def test_gradient():
    logits, truth = made(n=50)
    at = np.array([0.3, 0.1, -0.4, 0.7])
    assert check_grad(lambda x: calibration._loss(x, logits, truth)[0], lambda x: calibration._loss(x, logits, truth)[1], at) < 1e-5


def test_same_input_same_bits():
    assert fit(*made(n=300)) == fit(*made(n=300))


@pytest.mark.parametrize(
    ("logits", "truth"),
    [
        ([[9.0, -9.0], [-9.0, 9.0]], [0, 1]),  # separable
        ([[9.0, -9.0], [-9.0, 9.0]], [1, 0]),  # the wrong way round
        ([[1.0, 0.0], [2.0, 0.0]], [0, 0]),  # one class
        ([[1e4, 0.0, -1e4], [0.0, 1e4, 0.0]], [0, 2]),  # saturated
        ([[0.0, 0.0]], [1]),
    ],
)
@pytest.mark.parametrize("method", ["temperature", "temperature-intercept"])
def test_degenerate_validation_stays_finite(logits: list[list[float]], truth: list[int], method: str):
    p = fit(logits, truth, method).apply(logits)
    assert np.isfinite(p).all()
    assert p.sum(axis=1) == pytest.approx(1)


@settings(max_examples=25)
@given(
    st.integers(2, 5).flatmap(
        lambda k: st.lists(st.tuples(st.lists(st.floats(-50, 50), min_size=k, max_size=k), st.integers(0, k - 1)), min_size=1, max_size=15)
    )
)
def test_any_validation_gives_probabilities_no_worse_than_softmax(rows: list[tuple[list[float], int]]):
    logits, truth = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    found = fit(logits, truth)
    assert math.isfinite(found.temperature)
    log_p = log_softmax(logits / found.temperature + np.array(found.intercept), axis=1)
    plain = log_softmax(logits, axis=1)
    each = np.arange(len(truth))
    assert -log_p[each, truth].mean() <= -plain[each, truth].mean() + 1e-6


def test_unread_rows_stay_empty():
    p = Calibration(1.5, (0.1, -0.1)).apply([[1.0, 2.0], [np.nan, np.nan]])
    assert np.isfinite(p[0]).all()
    assert np.isnan(p[1]).all()


def test_json_round_trip():
    found = fit(*made(n=100))
    assert Calibration.from_json(found.to_json()) == found


@pytest.mark.parametrize(
    "stored", [{}, {"temperature": 1.0}, {"temperature": "warm", "intercept": []}, {"temperature": 0, "intercept": [0, 0]}]
)
def test_broken_json_is_refused(stored: dict[str, object]):
    with pytest.raises(MedtlError, match="calibration"):
        Calibration.from_json(stored)


@pytest.mark.parametrize(
    ("logits", "truth", "method", "message"),
    [
        ([[0.0, 1.0]], [0], "temprature", "did you mean 'temperature'"),
        (np.zeros((0, 2)), [], "temperature", "at least one row"),
        ([[0.0, np.inf]], [0], "temperature", "not finite"),
        ([[0.0, 1.0]], [2], "temperature", r"allowed: 0 … 1"),
        ([[0.0], [1.0]], [0, 0], "temperature", "at least two classes"),
    ],
)
def test_refusals(logits: object, truth: object, method: str, message: str):
    with pytest.raises(MedtlError, match=message):
        fit(logits, truth, method)
