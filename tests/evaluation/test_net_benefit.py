"""Net benefit by hand, and what must hold of any table."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medtl.evaluation.net_benefit import THRESHOLDS, net_benefit, treat_all

ROWS = st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.77, 1.0, np.nan]), st.booleans()), min_size=1, max_size=30)


def test_by_hand():
    """Ten images, four ill: at 0.2, 3 found and 2 false alarms, (3 - 2 / 4) / 10; at 0.5, 2 and 1, (2 - 1) / 10. The unread is missed."""
    p = [0.9, 0.6, 0.2, np.nan, 0.7, 0.3, 0.1, 0.1, 0.05, 0.0]
    assert net_benefit(p, [1] * 4 + [0] * 6, [0.2, 0.5]) == pytest.approx([0.25, 0.1])
    assert treat_all([1] * 4 + [0] * 6, [0.2, 0.5]) == pytest.approx([(4 - 6 / 4) / 10, (4 - 6) / 10])


@given(ROWS)
def test_every_threshold_by_itself_and_its_bounds(rows: list[tuple[float, bool]]):
    p, ill = (np.array(column) for column in zip(*rows, strict=True))
    found = net_benefit(p, ill)
    one_by_one = [((p >= t) & ill).mean() - ((p >= t) & ~ill).mean() * t / (1 - t) for t in THRESHOLDS]
    assert found == pytest.approx(one_by_one)
    assert (found <= ill.mean() + 1e-12).all()
    assert net_benefit(ill, ill) == pytest.approx(np.full(len(THRESHOLDS), ill.mean()))


@given(st.integers(1, 99))
def test_treating_all_is_worth_nothing_where_the_threshold_is_the_prevalence(ill: int):
    assert treat_all([1] * ill + [0] * (100 - ill), [ill / 100]) == pytest.approx([0], abs=1e-12)
