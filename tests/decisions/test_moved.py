"""A step behind a calibration is one calibration with it, for every kind; thresholds and weighed answers go along."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit, softmax

from medtl.decisions import methods
from medtl.decisions.calibration import Calibration
from medtl.decisions.isotonic import Curve, IsotonicCalibration
from medtl.decisions.moved import Step, then
from medtl.decisions.per_class import PerClass
from medtl.decisions.threshold import decide
from medtl.decisions.vector import VectorCalibration
from medtl.errors import MedtlError

CURVE = Curve((-2.0, 0.0, 1.0), (-1.0, 0.5, 3.0))
OF_CLASSES = [
    (Calibration(1.7, (0.3, -0.3)), Step((1.0,), (-0.4, 0.4))),
    (Calibration(1.7, (0.3, -0.3)), Step((0.6,), (0.9, -0.9))),
    (IsotonicCalibration((CURVE,)), Step((1.0,), (-0.4, 0.4))),
    (IsotonicCalibration((CURVE,)), Step((0.6,), (0.9, -0.9))),
    (Calibration(0.8, (0.5, 0.1, -0.6)), Step((1.4,), (0.2, -1.0, 0.8))),
    (VectorCalibration((0.5, 1.0, 2.0), (0.5, 0.1, -0.6)), Step((1.4,), (0.2, -1.0, 0.8))),
]
OF_FINDINGS = [
    (PerClass((0.7, 1.2), (0.4, -1.0)), Step((1.0, 0.5), (0.8, -0.3))),
    (IsotonicCalibration((CURVE, CURVE)), Step((1.0, 0.5), (0.8, -0.3))),
]


def logits(classes: int) -> np.ndarray:
    """Some far beyond the knots of any curve, none so far that a probability is 1 in float64."""
    drawn = 4 * np.random.default_rng(0).normal(size=(300, classes))
    return np.vstack([drawn, np.full((1, classes), np.nan)])


@pytest.mark.parametrize(("calibration", "step"), OF_CLASSES)
def test_a_step_of_classes_is_composed_exactly_and_stored(calibration, step):
    z = logits(len(step.intercept))
    expected = softmax(step.slope[0] * np.log(calibration.apply(z)) + np.array(step.intercept), axis=1)
    made = then(calibration, step)
    assert type(made) is type(calibration)
    np.testing.assert_allclose(made.apply(z), expected, atol=1e-12)
    np.testing.assert_array_equal(methods.from_json(made.to_json()).apply(z), made.apply(z))


@pytest.mark.parametrize(("calibration", "step"), OF_FINDINGS)
def test_a_step_of_findings_moves_each_by_itself(calibration, step):
    z = logits(2)
    expected = expit(np.array(step.slope) * logit(calibration.apply(z)) + np.array(step.intercept))
    np.testing.assert_allclose(then(calibration, step).apply(z), expected, atol=1e-12)


@pytest.mark.parametrize("positive", [0, 1])
@pytest.mark.parametrize(("calibration", "step"), OF_CLASSES[:4])
def test_a_moved_threshold_calls_the_same_images(calibration, step, positive):
    z = logits(2)[:-1]
    before, after = calibration.apply(z), then(calibration, step).apply(z)
    for cut in (0.0, 0.1, 0.7, 0.9998, 1.0):
        moved = step.threshold(cut, positive)
        assert (decide(before, positive, cut) == decide(after, positive, moved)).all()


def test_thresholds_of_findings_move_each_by_its_own_step():
    calibration, step = OF_FINDINGS[0]
    z, cuts = logits(2)[:-1], (0.2, 0.6)
    moved = step.threshold(cuts, None)
    assert ((calibration.apply(z) >= cuts) == (then(calibration, step).apply(z) >= moved)).all()


@pytest.mark.parametrize("adjusted", [None, (-0.2, -1.9, -3.0)])
@pytest.mark.parametrize(("calibration", "step"), OF_CLASSES[4:])
def test_of_several_classes_the_same_one_is_answered(calibration, step, adjusted):
    z = logits(3)[:-1]
    before, after = calibration.apply(z), then(calibration, step).apply(z)
    assert (before.argmax(axis=1) != after.argmax(axis=1)).any(), "else nothing is tested"
    assert (decide(before, adjusted=adjusted) == decide(after, adjusted=step.adjusted(adjusted))).all()


def test_an_unknown_kind_is_refused():
    class Other:
        pass

    with pytest.raises(MedtlError, match="of the kind Other cannot be re-calibrated"):
        then(Other(), Step((1.0,), (0.0, 0.0)))  # type: ignore[arg-type]
