"""Other prevalences: a table by hand, statsmodels' and scikit-learn's ways to the same numbers, coverage, and edges."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from medtl.contracts import Task
from medtl.evaluation.intervals import wilson
from medtl.evaluation.prevalence import predictive_values, shifted
from medtl.evaluation.summary import summarize
from medtl.report.prevalence import at_prevalences


def share(hits: int, n: int) -> dict[str, float]:
    low, high = wilson(hits / n, n)
    return {"value": hits / n, "low": low, "high": high}


def test_a_table_by_hand() -> None:
    """Sensitivity 0.9, specificity 0.8, of 1,000 with 1 % ill: 9 found, 198 false alarms, 792 cleared, 1 missed."""
    ppv, npv = predictive_values(share(90, 100), share(80, 100), 0.01)
    assert ppv["value"] == pytest.approx(9 / 207)
    assert npv["value"] == pytest.approx(792 / 793)
    ppv, npv = predictive_values(share(90, 100), share(80, 100), 0.5)
    assert (ppv["value"], npv["value"]) == pytest.approx((90 / 110, 80 / 90))


def test_probabilities_moved_are_those_of_a_model_of_the_other_prevalence() -> None:
    """Two normal curves: the logistic model fitted at one prevalence, moved, is the one fitted at the other."""
    random = np.random.default_rng(0)

    def fitted(ill: int, well: int) -> LogisticRegression:
        x = np.concatenate([random.normal(1, 1, ill), random.normal(-1, 1, well)])
        return LogisticRegression(C=1e9).fit(x[:, None], np.arange(ill + well) < ill)

    clinic, screening, x = fitted(75_000, 25_000), fitted(5_000, 95_000), np.linspace(-3, 3, 25)[:, None]
    moved = shifted(clinic.predict_proba(x)[:, 1], 0.75, 0.05)
    assert moved == pytest.approx(screening.predict_proba(x)[:, 1], abs=0.02)
    assert moved == pytest.approx(expit(2 * x[:, 0] + np.log(0.05 / 0.95)), abs=0.02)


@given(st.floats(0.001, 0.999), st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_there_and_back(p: float, one: float, other: float) -> None:
    assert shifted(shifted(p, one, other), other, one) == pytest.approx(p)
    assert shifted(p, one, one) == pytest.approx(p)
    assert shifted([0.0, 1.0], one, other).tolist() == [0.0, 1.0]
    assert np.isnan(shifted(np.nan, one, other))
    assert shifted(one, one, other) == pytest.approx(other), "who is as probable as any is so there"


@given(st.integers(0, 60), st.integers(0, 60), st.floats(0.001, 0.999))
def test_intervals_hold_the_value_and_no_end_is_beyond_both_worst_ends(found: int, cleared: int, prevalence: float) -> None:
    sensitivity, specificity = share(found, 60), share(cleared, 60)
    for figure in predictive_values(sensitivity, specificity, prevalence):
        if figure["value"] is None:
            assert figure["reason"] == "never called"
            continue
        assert 0 <= figure["low"] <= figure["value"] <= figure["high"] <= 1
    ppv, _ = predictive_values(sensitivity, specificity, prevalence)
    if ppv["value"] is not None and sensitivity["low"] > 0:
        called = [(s, 1 - c) for s, c in ((sensitivity["low"], specificity["low"]), (sensitivity["high"], specificity["high"]))]
        worst, best = (s * prevalence / (s * prevalence + a * (1 - prevalence)) for s, a in called)
        assert worst - 1e-9 <= ppv["low"]
        assert ppv["high"] <= best + 1e-9


@pytest.mark.parametrize("prevalence", [0.01, 0.3])
def test_intervals_cover(prevalence: float) -> None:
    random, inside = np.random.default_rng(1), np.zeros(2)
    truth = (
        0.85 * prevalence / (0.85 * prevalence + 0.1 * (1 - prevalence)),
        0.9 * (1 - prevalence) / (0.9 * (1 - prevalence) + 0.15 * prevalence),
    )
    for found, cleared in zip(random.binomial(60, 0.85, 2000), random.binomial(80, 0.9, 2000), strict=True):
        figures = predictive_values(share(int(found), 60), share(int(cleared), 80), prevalence)
        inside += [figure["low"] <= value <= figure["high"] for figure, value in zip(figures, truth, strict=True)]
    assert (inside / 2000 > 0.94).all()
    assert (inside / 2000 < 0.98).all()


def test_what_is_not_known_stays_so() -> None:
    nothing = {"value": None, "reason": "no cases"}
    assert predictive_values(nothing, share(1, 2), 0.1)[0] == nothing
    alone = {"value": 0.5, "low": None, "high": None, "reason": "one group only"}
    ppv, _ = predictive_values(alone, share(1, 2), 0.5)
    assert (ppv["value"], ppv["low"], ppv["reason"]) == (0.5, None, "one group only")


def test_at_their_own_prevalence_they_are_those_of_the_judged_images() -> None:
    random = np.random.default_rng(2)
    truth = random.random(200) < 0.3
    p = expit(random.normal(size=200) + 2.0 * truth - 1)
    table = pd.DataFrame({"image": [str(row) for row in range(200)], "frame": 0, "domain": "", "split": "test", "fold": "", "member": ""})
    table = table.assign(view="plain", group_id=table["image"], truth=np.where(truth, "ill", "well"), p_well=1 - p, p_ill=p, reason="")
    table["predicted"] = table["decision"] = np.where(p >= 0.5, "ill", "well")
    task = Task(classes={"well": (), "ill": ()})
    entry = summarize(table.assign(logit_well=0.0, logit_ill=np.log(p / (1 - p))), task, resamples=50)
    shown = at_prevalences(entry, task, "test")[0]
    own = next(row for row in shown.rows if "(these images)" in row[0])
    assert [float(cell.split(" ")[0]) for cell in own[1:]] == [
        round(entry["per_class"]["ill"]["precision"]["value"], 3),
        round(entry["per_class"]["ill"]["npv"]["value"], 3),
    ]
    assert [row[0] for row in shown.rows if row is not own] == ["0.5 %", "1 %", "2 %", "5 %", "10 %", "20 %", "50 %"]
    rising = [float(row[1].split(" ")[0]) for row in shown.rows]
    assert rising == sorted(rising)
    assert at_prevalences(entry, Task(classes={"a": (), "b": (), "c": ()}), "test") == []
