"""The one arithmetic from logits to answers, against a plain computation with probabilities."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import softmax

from medtl.contracts import Task
from medtl.decisions.calibration import Calibration
from medtl.decisions.threshold import adjustment
from medtl.model.answers import answer_table, ensemble_logits, reported_logits
from medtl.predictions import NO_ANSWER, columns, logits, probabilities

BINARY = Task(classes={"a": ("A",), "b": ("B",)}, positive="a")
THREE = Task(classes={"x": ("x",), "y": ("y",), "z": ("z",)})

members = arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 5), st.just(3)), elements=st.floats(-30, 30))


def table_of(values: np.ndarray, task: Task, reasons: list[str] | None = None, **changed: object) -> pd.DataFrame:
    n = values.shape[1]
    settings = {
        "prior_shift": np.zeros(len(task.names)),
        "calibration": Calibration.identity(len(task.names)),
        "threshold": None,
        **changed,
    }
    return answer_table(pd.DataFrame({"image": [f"{i}.png" for i in range(n)]}), values, reasons or [""] * n, task=task, **settings)


@given(members)
def test_without_shift_and_calibration_the_answer_is_the_mean_probability(values):
    expected = softmax(values, axis=2).mean(axis=0)
    assert np.allclose(probabilities(table_of(values, THREE)), expected, atol=1e-12)


@given(members, arrays(np.float64, 3, elements=st.floats(-3, 3)), st.floats(0.3, 3))
def test_shift_then_mean_then_temperature(values, shift, temperature):
    intercept = np.array([0.3, -0.1, -0.2])
    mean = softmax(values - shift, axis=2).mean(axis=0)
    expected = softmax(np.log(mean) / temperature + intercept, axis=1)
    found = table_of(values, THREE, prior_shift=shift, calibration=Calibration(temperature, tuple(intercept)))
    assert np.allclose(probabilities(found), expected, atol=1e-9)


def test_each_member_has_its_own_shift():
    values = np.array([[[1.0, 2.0]], [[3.0, 1.0]]])
    together = ensemble_logits(values, [[0.0, 1.0], [2.0, 0.0]])
    assert np.allclose(together, np.log([[0.5, 0.5]]))


def test_logits_are_raw_for_one_member_and_the_mean_for_several():
    one = np.array([[[5.0, -2.0]]])
    assert np.array_equal(logits(table_of(one, BINARY, threshold=0.5, prior_shift=[1.0, 0.0])), [[5.0, -2.0]])
    two = np.array([[[0.0, 0.0]], [[np.log(3), 0.0]]])
    assert np.allclose(reported_logits(two, [0.0, 0.0]), np.log([[0.625, 0.375]]))


@pytest.mark.parametrize(("threshold", "expected"), [(0.2, "a"), (0.3, "b")])
def test_the_threshold_judges_the_positive_class(threshold, expected):
    quarter = np.log([[[0.25, 0.75]]])
    assert list(table_of(quarter, BINARY, threshold=threshold)["predicted"]) == [expected]


def test_several_classes_are_decided_by_the_largest_probability():
    assert list(table_of(np.array([[[0.0, 2.0, 1.0], [3.0, 2.0, 1.0]]]), THREE)["predicted"]) == ["y", "x"]


def test_an_adjustment_moves_the_decision_and_no_probability():
    """p = (0.5, 0.3, 0.2) over frequencies 0.8, 0.15, 0.05 is 0.625, 2, 4."""
    values = np.log(np.array([[[0.5, 0.3, 0.2]]]))
    plain, adjusted = table_of(values, THREE), table_of(values, THREE, adjusted=adjustment([[0.8, 0.15, 0.05]], 1.0))
    assert (list(plain["predicted"]), list(adjusted["predicted"])) == (["x"], ["z"])
    assert list(adjusted["decision"]) == ["z"]
    assert np.array_equal(probabilities(plain), probabilities(adjusted))
    assert np.array_equal(logits(plain), logits(adjusted))


def test_unread_images_stay_as_rows_without_an_answer():
    values = np.array([[[np.nan, np.nan], [0.0, 4.0]]])
    table = table_of(values, BINARY, ["is empty [NOT_AN_IMAGE]", ""], threshold=0.5)
    assert list(table.columns) == columns(BINARY.names)
    assert list(table["decision"]) == [NO_ANSWER, "b"]
    assert list(table["predicted"]) == ["", "b"]
    assert list(table["reason"]) == ["is empty [NOT_AN_IMAGE]", ""]
    assert np.isnan(probabilities(table)[0]).all()
    assert np.isfinite(probabilities(table)[1]).all()


def test_nothing_read_at_all_is_a_table_too():
    table = table_of(np.full((2, 3, 2), np.nan), BINARY, ["x", "y", "z"], threshold=0.5)
    assert list(table["decision"]) == [NO_ANSWER] * 3
