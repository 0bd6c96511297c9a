"""Advice: each threshold turns it, and says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medtl.ranking.advice import ENOUGH, FAR, FEW, MANY, NEAR, RARE, Situation, advise
from medtl.transfer import TransferSettings

Make = Callable[..., Situation]
KNOWN = {"value": 0.1, "low": 0.05, "high": 0.15}


@pytest.mark.parametrize(
    ("changes", "strategy", "beside"),
    [
        ({}, "lp-ft", "linear-probe"),
        ({"distance": NEAR}, "lp-ft", "partial"),
        ({"distance": None}, "lp-ft", "linear-probe"),
        ({"groups": 2 * FEW - 1}, "linear-probe", "lp-ft"),
        ({"groups": 2 * FEW}, "lp-ft", "linear-probe"),
        ({"groups": 2 * FEW, "classes": 3}, "linear-probe", "lp-ft"),
        ({"groups": 2 * FEW - 1, "distance": FAR + 0.01}, "partial", "linear-probe"),
        ({"images": MANY}, "full", "scratch"),
        ({"probe": {"value": ENOUGH, "low": 0.97, "high": 0.99}}, "linear-probe", "lp-ft"),
        ({"gain": {"value": 0.01, "low": -0.01, "high": 0.03}}, "lp-ft", "scratch"),
        ({"tune_minutes": 61.0}, "linear-probe", "lp-ft"),
        ({"tune_minutes": 61.0, "most_minutes": 62.0}, "lp-ft", "linear-probe"),
        ({"probe": {"value": None, "reason": "few"}, "gain": {"value": None, "reason": "few"}}, "lp-ft", "linear-probe"),
        ({"pretrained": False}, "scratch", "scratch"),
        ({"rarer_side": FEW - 1.0}, "linear-probe", "lp-ft"),
        ({"rarer_side": FEW, "groups": FEW + 1}, "lp-ft", "linear-probe"),
    ],
)
def test_what_turns_the_advice(situation: Make, changes: dict[str, Any], strategy: str, beside: str) -> None:
    found = advise(situation(**changes))
    assert (found.strategy, found.beside) == (strategy, beside)
    assert found.reasons


def test_the_reasons_hold_the_numbers(situation: Make) -> None:
    text = "\n".join(advise(situation(rarest=("ill", RARE - 1), tune_minutes=90.0)).reasons)
    assert "1,000 groups in 2 classes (500 per class) are enough" in text
    assert "+0.100 [+0.050, +0.150] of AUROC" in text
    assert "neither near nor far: 0.200" in text
    assert f"Of 'ill' there are {RARE - 1} groups only" in text
    assert "about 90 minutes here, more than the 60 granted" in text


def test_findings_are_counted_on_their_rarer_side(situation: Make) -> None:
    reason = advise(situation(rarer_side=150.0, classes=5)).reasons[0]
    assert reason.startswith("1,000 groups for 5 findings (the rarer side of the median finding counts 150) are few (fewer than 200 there)")


@given(
    groups=st.integers(2, 10**5), images=st.integers(2, 10**6), classes=st.integers(2, 20), distance=st.none() | st.floats(0, 1),
    probe=st.none() | st.floats(0, 1), minutes=st.floats(0, 1e4), low=st.none() | st.floats(-1, 0.1),
)  # fmt: skip
def test_every_situation_has_an_advice(
    groups: int, images: int, classes: int, distance: float | None, probe: float | None, minutes: float, low: float | None
) -> None:
    figure = {"value": probe, "low": None, "high": None} if probe is not None else {"value": None, "reason": "few"}
    gain = {"value": 0.1, "low": low, "high": 0.2} if low is not None else {"value": None, "reason": "few"}
    found = advise(Situation("AUROC", images, groups, ("ill", 5), classes, True, figure, gain, distance, minutes, 60.0))
    assert found.strategy != found.beside
    assert {found.strategy, found.beside} <= {"scratch", "linear-probe", "partial", "full", "lp-ft"}


def test_what_is_advised_exists() -> None:
    known = set(get_args(TransferSettings.model_fields["strategy"].annotation))
    assert {"scratch", "linear-probe", "full", "lp-ft"} <= known
