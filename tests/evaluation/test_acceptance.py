"""Lines that a model has to keep: met, not met, too few; and how many cases they take."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from statsmodels.stats.proportion import proportion_confint

from medtl.contracts import Task
from medtl.errors import MedtlError
from medtl.evaluation.acceptance import MET, NOT_MET, TOO_FEW, Acceptance, Criterion, all_met, judge, plan
from medtl.evaluation.intervals import wilson
from medtl.evaluation.needed import cases_for_auroc, cases_for_share, share_cases

TASK = Task(classes={"a": (), "b": ()}, positive="b")


def _rows(make_table, ill=100, found=95, well=100, alarms=10, unread=0):
    """So many ill patients, of whom `found` are called ill, and so many well, of whom `alarms` are."""
    truth = [1] * ill + [0] * well
    called = np.array([1] * found + [0] * (ill - found) + [1] * alarms + [0] * (well - alarms))
    p = np.clip(called + np.random.default_rng(0).uniform(-0.2, 0.2, len(called)), 0.02, 0.98)
    p[len(p) - unread :] = np.nan
    return make_table(truth, np.column_stack([1 - p, p]))


def _lines(rows, *criteria):
    return judge(Acceptance(name="x", criteria=[Criterion(**each) for each in criteria]), rows, TASK)


def test_the_intervals_end_decides_not_the_figure(make_table):
    rows = _rows(make_table)
    low, high = wilson(0.95, 100)
    states = [
        each.state
        for each in _lines(
            rows,
            {"figure": "sensitivity", "at_least": low - 1e-6},
            {"figure": "sensitivity", "at_least": low + 1e-6},
            {"figure": "sensitivity", "at_least": 0.951},
            {"figure": "specificity", "at_least": 0.8},
            {"figure": "recall", "of": "a", "at_least": 0.8},
            {"figure": "ece", "at_most": 0.5},
        )
    ]
    assert states == [MET, TOO_FEW, NOT_MET, MET, MET, MET]
    assert high > 0.951


def test_how_many_times_as_many_cases_would_do_is_true(make_table):
    [line] = _lines(_rows(make_table), {"figure": "sensitivity", "at_least": 0.92})
    assert line.state == TOO_FEW
    times = float(line.text.split("; ")[1].split(" times")[0])
    assert wilson(0.95, 100 * (times + 0.06)).low >= 0.92 > wilson(0.95, 100 * (times - 0.06)).low


def test_the_unanswered_are_a_line_of_their_own(make_table):
    rows = _rows(make_table, unread=12)
    met, few = _lines(rows, {"figure": "unanswered", "at_most": 0.12}, {"figure": "unanswered", "at_most": 0.061})
    assert met.found["value"] == pytest.approx(0.06)
    assert (met.state, few.state) == (MET, TOO_FEW)
    assert not all_met([met, few])
    assert all_met([met])


def test_images_of_one_patient_are_no_further_unanswered_cases(make_table):
    """40 images of one patient, none answered, beside 60 of as many: 100 over the design effect, ((24² + 60 · 0.4²) / 24) times less."""
    groups = [0] * 40 + list(range(1, 61))
    p = np.tile([[0.8, 0.2]], (100, 1))
    p[:40] = np.nan
    [line] = _lines(make_table([0, 1] * 50, p, groups), {"figure": "unanswered", "at_most": 0.6})
    assert (line.found["low"], line.found["high"]) == pytest.approx(tuple(wilson(0.4, 100 * 24 / (24**2 + 60 * 0.4**2))))
    assert line.state == TOO_FEW


def test_who_got_no_answer_is_a_miss_and_the_answered_stand_beside(make_table):
    """40 ill: 30 found, 2 missed, 8 of those found held back. All who came: 22 of 40; answered only: 22 of 32, wherever it is judged."""
    rows = _rows(make_table, ill=40, found=30, well=40, alarms=4)
    rows.loc[[*range(22, 30), *range(44, 60)], ["decision", "reason"]] = ["no answer", "odd [UNLIKE_TRAINING]"]
    rows["site"] = "north"
    sensitivity, north, specificity, rank, silent = _lines(
        rows,
        {"figure": "sensitivity", "at_least": 0.5},
        {"figure": "sensitivity", "at_least": 0.5, "worst": "site"},
        {"figure": "specificity", "at_least": 0.5},
        {"figure": "auroc", "at_least": 0.5},
        {"figure": "unanswered", "at_most": 0.5},
    )
    for line in (sensitivity, north):
        assert line.found["value"] == pytest.approx(22 / 40)
        assert line.answered_only["value"] == pytest.approx(22 / 32)
        assert "0.550 [" in line.text
        assert "; of those answered (70.0 %): 0.688 [" in line.text
    assert (specificity.found["value"], specificity.answered_only["value"]) == (pytest.approx(20 / 40), pytest.approx(20 / 24))
    assert rank.answered_only["value"] != rank.found["value"]
    assert silent.answered_only is None
    assert [each.answered_only for each in _lines(_rows(make_table), {"figure": "sensitivity", "at_least": 0.5})] == [None]


def test_every_part_has_to_keep_a_line(make_table):
    rows = _rows(make_table)
    rows["site"] = np.where(np.arange(200) % 100 < 45, "north", np.where(np.arange(200) % 100 < 97, "south", "tiny"))
    whole, worst = _lines(rows, {"figure": "sensitivity", "at_least": 0.85}, {"figure": "sensitivity", "at_least": 0.85, "worst": "site"})
    assert whole.state == MET
    assert worst.state == TOO_FEW
    assert worst.text.startswith("tiny: 6 groups, fewer than 10")
    [south] = _lines(rows[rows["site"] != "tiny"], {"figure": "sensitivity", "at_least": 0.97, "worst": "site"})
    assert south.state == NOT_MET
    assert south.text.startswith("south: 0.962")


@pytest.mark.parametrize(
    ("criterion", "said"),
    [
        ({"figure": "sensitivty"}, "did you mean 'sensitivity'"),
        ({"figure": "recall", "of": "c"}, "no class 'c'"),
        ({"figure": "auroc", "worst": "site"}, "let the config keep it"),
    ],
)
def test_what_is_not_there_is_named(make_table, criterion, said):
    with pytest.raises(MedtlError, match=said):
        _lines(_rows(make_table), {**criterion, "at_least": 0.5})


def test_sensitivity_of_several_classes_needs_its_class(make_table, make_task):
    rows = make_table([0, 1, 2] * 20, np.random.default_rng(0).dirichlet(np.ones(3), 60))
    with pytest.raises(MedtlError, match="name the class with `of`"):
        judge(Acceptance(name="x", criteria=[Criterion(figure="sensitivity", at_least=0.5)]), rows, make_task(3))


@pytest.mark.parametrize("sides", [{}, {"at_least": 0.5, "at_most": 0.6}])
def test_a_line_has_one_side(sides):
    with pytest.raises(ValidationError, match="one of them"):
        Criterion(figure="auroc", **sides)


@given(st.integers(500, 990), st.integers(1, 200))
def test_the_fewest_cases_are_the_fewest(share, less):
    value, bound = share / 1000, (share - less) / 1000
    needed = cases_for_share(value, bound)
    assert proportion_confint(value * needed, needed, method="wilson")[0] >= bound - 1e-9
    assert needed == 1 or proportion_confint(value * (needed - 1), needed - 1, method="wilson")[0] < bound + 1e-9
    assert share_cases(value, wilson(value, 37.5).low) == pytest.approx(37.5)


def test_planning_says_cases_without_a_miss_and_as_expected():
    said = list(
        plan(
            Acceptance(
                name="x",
                criteria=[
                    Criterion(figure="sensitivity", at_least=0.95, expected=0.98),
                    Criterion(figure="auroc", at_least=0.9, expected=0.95),
                    Criterion(figure="unanswered", at_most=0.1, expected=0.05),
                    Criterion(figure="ece", at_most=0.1),
                    Criterion(figure="sensitivity", at_least=0.95, expected=0.9),
                ],
            )
        )
    )
    assert f"at least {cases_for_share(1, 0.95)} cases, without a single miss; {cases_for_share(0.98, 0.95)} if it is 0.98" in said[0]
    assert f"at least {cases_for_auroc(1, 0.9)} cases on either side" in said[1]
    assert said[2] == f"unanswered at most 0.1: at least 35 cases, without a single miss; {cases_for_share(0.95, 0.9)} if it is 0.05"
    assert "cannot be planned" in said[3]
    assert "does not keep it" in said[4]
