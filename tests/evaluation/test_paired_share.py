"""Tango's score statistic: how often it errs, counted over all outcomes, and its p beside its bounds and McNemar's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multinomial, norm

from medtl.evaluation.paired_share import PairedShare, paired_share


@pytest.mark.parametrize(
    ("n", "margin", "lost", "won"),
    [(20, 0.1, 0.1, 0.0), (60, 0.05, 0.05, 0.0), (60, 0.05, 0.06, 0.01), (100, 0.05, 0.1, 0.05), (100, 0.02, 0.025, 0.005)],
)
def test_a_loss_of_the_margin_is_called_not_worse_in_no_more_trials_than_promised(n: int, margin: float, lost: float, won: float) -> None:
    """Over all outcomes that happen in one of 10,000 trials or more; the Wald test errs in 15 % of the second."""
    outcomes = [(a, b, n - a - b) for a in range(n + 1) for b in range(n + 1 - a)]
    chances = multinomial.pmf(outcomes, n, [lost, won, 1 - lost - won])
    shown = [
        chance
        for (a, b, _), chance in zip(outcomes, chances, strict=True)
        if chance > 1e-4 and PairedShare(a, b, n).p_above(-margin) <= 0.025
    ]
    assert sum(shown) < 0.03


@pytest.mark.parametrize(("lost", "won", "n"), [(9, 16, 92), (3, 1, 150), (0, 0, 40), (0, 7, 30)])
def test_p_is_what_the_bounds_say(lost: int, won: int, n: int) -> None:
    found = PairedShare(lost, won, n)
    assert found.p_above(found.low(0.025)) == pytest.approx(0.025, abs=1e-6)
    assert found.p_below(found.high(0.025)) == pytest.approx(0.025, abs=1e-6)
    assert found.low(0.025) < (won - lost) / n < found.high(0.025)


def test_without_a_bound_it_is_mcnemars() -> None:
    assert PairedShare(3, 14, 80).p_above(0) == pytest.approx(norm.sf(11 / np.sqrt(17)))
    assert PairedShare(3, 14, 80).p_below(0) == pytest.approx(norm.cdf(11 / np.sqrt(17)))
    assert PairedShare(0, 0, 80).p_above(0) == PairedShare(0, 0, 80).p_below(0) == 1


def test_images_of_one_patient_are_no_further_cases() -> None:
    after, before, groups = np.ones(20, bool), np.ones(20, bool), np.arange(20)
    after[:2] = before[2:5] = False
    alone, each = paired_share(after, before, groups), paired_share(np.tile(after, 3), np.tile(before, 3), np.tile(groups, 3))
    assert (alone.lost, alone.won, alone.cases) == pytest.approx((2, 3, 20))
    assert (each.lost, each.won, each.cases) == pytest.approx((2, 3, 20))
