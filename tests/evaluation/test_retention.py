"""Recalls that an update must keep, and what it must improve: Tango's bound against its definition, and verdicts worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from medtl.contracts import Task
from medtl.errors import MedtlError
from medtl.evaluation.improvement import improved
from medtl.evaluation.paired_share import PairedShare
from medtl.evaluation.retention import fewest, retained

TASK = Task.model_validate({"classes": {"normal": ["normal"], "ill": ["ill"]}, "positive": "ill"})


def table(truth: list[str], predicted: list[str], groups: list[str] | None = None, p: list[float] | None = None) -> pd.DataFrame:
    names = [f"{i}.png" for i in range(len(truth))]
    ill = [0.9 if each == "ill" else 0.1 for each in predicted] if p is None else p
    return pd.DataFrame(
        {
            "image": names, "frame": 0, "domain": "", "split": "external", "fold": "", "member": "", "view": "plain",
            "group_id": names if groups is None else groups, "truth": truth,
            "logit_normal": 0.0, "logit_ill": 0.0, "p_normal": 1 - np.array(ill), "p_ill": ill,
            "predicted": predicted, "decision": predicted, "reason": "",
        }
    )  # fmt: skip


def both(per_class: int, lost: int, images: int = 1) -> tuple[pd.DataFrame, pd.DataFrame]:
    """New and old predictions: the old model errs nowhere, the new one on the first `lost` ill images; so many `images` per patient."""
    truth = ["ill"] * per_class + ["normal"] * per_class
    groups = [f"p{i // images}" for i in range(2 * per_class)]
    return table(truth, ["normal"] * lost + truth[lost:], groups), table(truth, truth, groups)


def score(lost: int, won: int, n: int, theta: float) -> float:
    """Tango's statistic with its nuisance share found by maximising the multinomial likelihood itself."""

    def against(share: float) -> float:
        return -(won * math.log(share + theta) + lost * math.log(share) + (n - won - lost) * math.log(1 - 2 * share - theta))

    least = max(0.0, -theta)
    share = minimize_scalar(against, bounds=(least + 1e-12, (1 - theta) / 2 - 1e-12), method="bounded", options={"xatol": 1e-12}).x
    return float((won - lost - n * theta) / math.sqrt(n * (2 * share + theta * (1 - theta))))


@pytest.mark.parametrize(("lost", "won", "n"), [(9, 16, 92), (3, 1, 150), (20, 5, 60), (1, 12, 40)])
def test_the_bound_is_where_the_score_statistic_says(lost: int, won: int, n: int) -> None:
    low = PairedShare(lost, won, n).low(0.0125)
    assert score(lost, won, n, low) == pytest.approx(norm.isf(0.0125), abs=1e-4)
    assert low < (won - lost) / n


@given(n=st.integers(1, 5000), error=st.floats(0.001, 0.1))
def test_models_that_never_differ_show_as_much_as_there_are_cases(n: int, error: float) -> None:
    z = norm.isf(error)
    assert PairedShare(0, 0, n).low(error) == pytest.approx(-z * z / (n + z * z), rel=1e-6)


@given(n=st.integers(2, 400), data=st.data())
def test_a_further_lost_case_lowers_the_bound(n: int, data: st.DataObject) -> None:
    lost = data.draw(st.integers(0, n - 1))
    won = data.draw(st.integers(0, n - lost - 1))
    assert -1 <= PairedShare(lost + 1, won, n).low(0.0125) < PairedShare(lost, won, n).low(0.0125) <= 1


def test_as_many_patients_as_are_said_to_be_needed_are_needed() -> None:
    n = fewest(0.05, 2)
    assert retained(*both(n, 0), TASK, 0.05).shown
    found = retained(*both(n - 1, 0), TASK, 0.05)
    assert not found.shown
    assert not found.enough
    assert f"normal {n - 1}, ill {n - 1}; {n} of every class are needed" in found.reason


def test_a_class_that_is_lost_is_named_and_refused() -> None:
    assert retained(*both(200, 1), TASK, 0.05).shown
    found = retained(*both(200, 10), TASK, 0.05)
    assert not found.shown
    assert found.enough
    assert "lower bounds: ill -0.097" in found.reason
    assert found.per_class["ill"]["lost"] == 10
    assert found.per_class["ill"]["difference"] == pytest.approx(-0.05)
    assert found.per_class["normal"]["difference"] == 0


def test_images_of_one_patient_are_no_further_cases() -> None:
    assert not retained(*both(100, 0, images=5), TASK, 0.05).enough
    assert retained(*both(500, 0, images=5), TASK, 0.05).per_class["ill"]["low"] == pytest.approx(
        retained(*both(100, 0), TASK, 0.05).per_class["ill"]["low"]
    )


def test_other_images_are_no_comparison() -> None:
    new, old = both(100, 0)
    with pytest.raises(MedtlError, match="other images"):
        retained(new.iloc[:-1], old, TASK, 0.05)


def test_an_improvement_needs_patients_and_a_bound_above_0() -> None:
    rng = np.random.default_rng(0)
    truth = ["ill", "normal"] * 40
    good = [0.8 if each == "ill" else 0.2 for each in truth]
    chance = rng.random(80).tolist()
    said = ["ill" if p > 0.5 else "normal" for p in chance]
    new, old = table(truth, truth, p=good), table(truth, said, p=chance)
    assert improved(new, old, TASK).shown
    assert improved(new, old, TASK, "macro-recall").shown
    assert not improved(old, new, TASK).shown
    assert not improved(new, new, TASK).shown
    few = improved(new.iloc[:18], old.iloc[:18], TASK)
    assert not few.shown
    assert "normal 9, ill 9; 10 of every class are needed" in few.reason


def test_a_threshold_that_is_mended_raises_recall_and_no_area() -> None:
    truth = ["ill", "normal"] * 40
    p = [0.4 if each == "ill" else 0.1 for each in truth]
    new, old = table(truth, truth, p=p), table(truth, ["normal"] * 80, p=p)
    assert improved(new, old, TASK, "macro-recall").shown
    assert not improved(new, old, TASK, "auroc").shown
