"""Vector scaling and isotonic curves against references found otherwise; what is stored, read back and refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import check_grad, minimize
from scipy.special import expit, log_softmax
from scipy.stats import t
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import log_loss, roc_auc_score

from medtl.decisions import isotonic, methods, vector
from medtl.decisions.calibration import Calibration
from medtl.decisions.isotonic import IsotonicCalibration
from medtl.decisions.per_class import PerClass
from medtl.decisions.vector import VectorCalibration
from medtl.errors import MedtlError
from medtl.experiment.schema import Experiment

Floats = np.ndarray


def drawn(honest: Floats, seed: int = 0) -> Floats:
    p = np.exp(log_softmax(honest, axis=1))
    return (np.random.default_rng(seed).random(len(p))[:, None] > p.cumsum(axis=1)).sum(axis=1).clip(0, p.shape[1] - 1)


# Vector scaling


def test_slopes_of_many_images_are_found_again() -> None:
    logits = np.random.default_rng(1).normal(size=(40000, 3)) * 3
    centred = logits - logits.mean(axis=1, keepdims=True)
    found = vector.fit(logits, drawn(centred * [0.4, 0.8, 1.2] + [0.5, 0.0, -0.5]))
    assert found.slope == pytest.approx((0.4, 0.8, 1.2), rel=0.05)
    assert found.intercept == pytest.approx((0.5, 0.0, -0.5), abs=0.06)
    assert found.apply(logits + 7.0) == pytest.approx(found.apply(logits)), "what is added to all classes says nothing"


def test_the_posterior_of_few_images_is_the_one_found_without_gradients() -> None:
    """Priors as documented: Student's t with 3 degrees of freedom and scale 0.5 of log T, 0.25 of each intercept; a normal one of deviation
    0.25 of each class's own log slope."""
    logits = np.random.default_rng(2).normal(size=(40, 3)) * 2
    centred, truth = logits - logits.mean(axis=1, keepdims=True), drawn(logits * [0.5, 1.0, 1.5])

    def scores(at: Floats) -> Floats:
        return log_softmax(centred * np.exp(at[1:4] - at[0]) + at[4:], axis=1)

    def loss(at: Floats) -> float:
        prior = ((at[1:4] / 0.25) ** 2).sum() / 2 - t.logpdf(at[0] / 0.5, 3) - t.logpdf(at[4:] / 0.25, 3).sum()
        return float(prior - scores(at)[np.arange(40), truth].sum())

    found = minimize(loss, np.zeros(7), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 20000, "maxfev": 20000}).x
    assert vector.fit(logits, truth).apply(logits) == pytest.approx(np.exp(scores(found)), abs=1e-5)
    random = np.random.default_rng(3)
    for _ in range(5):
        at = random.normal(size=7) * 0.5
        gap = check_grad(lambda x: vector._loss(x, centred, truth)[0], lambda x: vector._loss(x, centred, truth)[1], at)
        assert gap < 1e-6


# Isotonic


def cases(n: int, seed: int, bend: float = 1.0) -> tuple[Floats, Floats]:
    """Log-odds, and truth of which they say too much."""
    random = np.random.default_rng(seed)
    z = random.normal(size=n) * 3
    return z, (random.random(n) < expit(bend * np.tanh(z))).astype(int)


def test_blocks_are_those_of_scikit_learn_at_the_mean_of_their_cases() -> None:
    z, truth = cases(400, 4)
    z = np.round(z, 1)  # ties
    target = np.where(truth == 1, (truth.sum() + 1) / (truth.sum() + 2), 1 / (400 - truth.sum() + 2))
    heights = IsotonicRegression().fit_transform(z, target)
    curve = isotonic.fit_curve(z, truth)
    levels = np.unique(heights.round(12))
    assert expit(np.array(curve.meant)) == pytest.approx(levels)
    assert curve.given == pytest.approx([z[heights.round(12) == level].mean() for level in levels])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_ranks_are_kept_and_nothing_is_certain(seed: int) -> None:
    z, truth = cases(600, seed)
    found = methods.fit(np.stack([-z / 2, z / 2], axis=1), truth, "isotonic")
    wide = np.sort(np.concatenate([z, np.linspace(-40, 40, 200)]))
    p = found.apply(np.stack([np.zeros_like(wide), wide], axis=1))
    apart = np.diff(wide) > 1e-6  # nearer ones may meet by rounding
    assert (np.diff(p[:, 1])[apart] > 0).all()
    assert (np.diff(p[:, 1]) >= 0).all()
    assert p.sum(axis=1) == pytest.approx(1)
    assert p.min() > 0
    assert roc_auc_score(truth, found.apply(np.stack([0 * z, z], axis=1))[:, 1]) == pytest.approx(roc_auc_score(truth, z), abs=1e-4)
    assert np.isnan(found.apply([[np.nan, 0.0]])).all()


def test_a_bent_curve_is_straightened_better_than_by_a_line() -> None:
    (z, truth), (fresh, judged) = cases(4000, 5, bend=3), cases(4000, 6, bend=3)
    losses = {}
    for method in ("none", "temperature-intercept", "isotonic"):
        fitted = methods.fit(np.stack([0 * z, z], axis=1), truth, method)
        losses[method] = log_loss(judged, fitted.apply(np.stack([0 * fresh, fresh], axis=1))[:, 1])
    assert losses["isotonic"] < losses["temperature-intercept"] < losses["none"]


def test_findings_have_a_curve_each_of_what_is_known() -> None:
    (one, first), (two, second) = cases(500, 7), cases(500, 8, bend=2)
    truth = np.stack([first, second], axis=1).astype(float)
    truth[:50, 1] = np.nan
    found = methods.fit(np.stack([one, two], axis=1), truth, "isotonic", several=True)
    assert isinstance(found, IsotonicCalibration)
    assert found.curves[1] == isotonic.fit_curve(two[50:], second[50:])
    assert found.apply([[0.5, 0.5]])[0] == pytest.approx([expit(curve.apply(0.5)) for curve in found.curves])


def test_too_few_are_refused() -> None:
    z, truth = cases(150, 9)
    with pytest.raises(MedtlError, match=r"isotonic needs 100 images of either side .* choose temperature-intercept"):
        methods.fit(np.stack([0 * z, z], axis=1), truth, "isotonic")
    with pytest.raises(MedtlError, match="of either side of mass"):
        isotonic.refuse_few([1, 0], "mass")


# What packages store


def test_what_is_stored_is_read_back() -> None:
    z, truth = cases(500, 10)
    for fitted, several in (
        (methods.fit(np.random.default_rng(0).normal(size=(30, 3)), np.arange(30) % 3, "vector"), False),
        (methods.fit(np.stack([0 * z, z], axis=1), truth, "isotonic"), False),
        (methods.fit(np.stack([z, z], axis=1), np.stack([truth, truth], axis=1), "isotonic", several=True), True),
        (Calibration(1.5, (0.1, -0.1)), False),
        (PerClass((1.5, 2.0), (0.1, -0.1)), True),
    ):
        assert methods.from_json(json.loads(json.dumps(fitted.to_json())), several) == fitted
    assert methods.from_json({"temperature": 1.5, "intercept": [0.1, -0.1]}) == Calibration(1.5, (0.1, -0.1)), "as older packages have it"
    with pytest.raises(MedtlError, match="kind 'beta' is unknown"):
        methods.from_json({"kind": "beta"})
    for broken in ({"kind": "vector", "slope": [1.0]}, {"kind": "isotonic", "given": [[0.0]], "meant": []}):
        with pytest.raises(MedtlError, match="calibration: expected"):
            methods.from_json(broken)
    with pytest.raises(MedtlError, match="knots"):
        methods.from_json({"kind": "isotonic", "given": [[0.0, 1.0]], "meant": [[1.0, 0.0]]})
    with pytest.raises(MedtlError, match="slopes above 0"):
        VectorCalibration((1.0, -1.0), (0.0, 0.0))


@pytest.mark.parametrize(
    ("method", "task", "sentence"),
    [
        ("vector", {"classes": {"a": [], "b": []}}, "two classes have one slope each"),
        ("vector", {"kind": "multi", "classes": {"a": [], "b": [], "c": []}}, "findings have one slope each"),
        ("isotonic", {"classes": {"a": [], "b": [], "c": []}}, "choose vector or temperature-intercept"),
    ],
)
def test_a_task_that_it_does_not_fit_is_refused(method: str, task: dict, sentence: str) -> None:
    given = {"name": "x", "task": task, "cohorts": [{"name": "folders"}], "decision": {"calibration": method}}
    with pytest.raises(ValueError, match=sentence):
        Experiment.model_validate(given)
    truth = np.zeros((3, 3)) if task.get("kind") == "multi" else np.zeros(3)
    with pytest.raises(MedtlError, match=sentence):
        methods.fit(np.zeros((3, len(task["classes"]))), truth, method, task.get("kind") == "multi")
