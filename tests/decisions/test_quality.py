"""Quality: fixed limits that training images may loosen and never tighten."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medtl import measurements
from medtl.decisions.quality import RULES, SIDE, limits, poor

GOOD = {"contrast": 0.2, "blank_share": 0.1, "padding_share": 0.1, "saturated_share": 0.0, "height": 300.0, "width": 200.0}


def table(**columns: object) -> pd.DataFrame:
    return pd.DataFrame({**GOOD, **columns}, index=range(len(next(iter(columns.values()), [0]))))  # type: ignore[arg-type]


def test_of_ordinary_images_the_fixed_limits_hold() -> None:
    found = limits(table(contrast=[0.2] * 50), 224)
    assert found == {"contrast": 0.02, "blank_share": 0.97, "padding_share": 0.75, "saturated_share": 0.75, SIDE: 56.0}
    assert poor(GOOD, found) == ""


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"contrast": 0.01}, "it has next to no contrast"), ({"blank_share": 0.99}, "next to nothing of it shows any detail"),
        ({"padding_share": 0.8}, "most of it is an empty border"), ({"saturated_share": 0.8}, "most of it is overexposed"),
        ({"width": 30.0}, "it has far fewer pixels than the model looks at"), ({"contrast": np.nan}, ""),
    ],
)  # fmt: skip
def test_each_rule_says_why(fault: dict[str, float], words: str) -> None:
    assert poor({**GOOD, **fault}, limits(table(contrast=[0.2] * 50), 224)) == words


def test_training_images_that_cross_a_limit_loosen_it() -> None:
    """Small pictures of 28 pixels, enlarged to 224: half as small again is refused, and they themselves are not."""
    small = limits(table(height=[28.0] * 20, width=[28.0] * 20), 224)
    assert small[SIDE] == 28
    assert poor({**GOOD, "height": 28.0, "width": 28.0}, small) == ""
    padded = limits(table(padding_share=[0.5] * 10 + [0.9] * 10), 224)
    assert padded["padding_share"] == pytest.approx(0.9 + 0.5 * (0.9 - 0.7))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50), st.sampled_from(sorted(set(RULES) - {SIDE})))
def test_no_limit_is_tighter_than_the_fixed_one_and_training_images_pass(values: list[float], name: str) -> None:
    stored = limits(table(**{name: values}), 224)
    rule = RULES[name]
    assert stored[name] >= rule.fixed if rule.upper else stored[name] <= rule.fixed
    refused = [value for value in values if poor({**GOOD, name: value}, stored)]
    assert len(refused) <= 1  # beyond 99.9 % at most


def test_what_was_not_measured_is_not_judged() -> None:
    empty = measurements.table([{**measurements.row({}), "image": "a", "frame": 0}])
    assert limits(empty, 100)[SIDE] == 25
    assert poor(measurements.row({}), limits(empty, 100)) == ""
