"""Those answered and all who came: the example of 120 ill, worked by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from medtl.contracts import Task
from medtl.evaluation.acceptance import MET, Acceptance, Criterion, judge
from medtl.evaluation.answering import answering, code_of, held_back, judge_split, lines, sentences
from medtl.evaluation.intervals import wilson
from medtl.evaluation.summary import summarize
from medtl.predictions import NO_ANSWER

TASK = Task(classes={"well": (), "ill": ()}, positive="ill")


@pytest.fixture
def rows(make_table):
    """120 ill: 101 found, 9 missed, 10 unanswered (4 unread, 6 held back, of which 5 would have been found); 80 well, 8 unanswered."""
    called = np.array([1] * 101 + [0] * 9 + [1] * 5 + [0] * 1 + [0] * 4 + [0] * 60 + [1] * 12 + [0] * 8)
    p = 0.2 + 0.6 * called + np.random.default_rng(0).uniform(-0.1, 0.1, 200)
    p[116:120] = np.nan
    table = make_table([1] * 120 + [0] * 80, np.column_stack([1 - p, p]))
    table = table.rename(columns={"p_a": "p_well", "p_b": "p_ill", "logit_a": "logit_well", "logit_b": "logit_ill"})
    for column in ("truth", "predicted", "decision"):
        table[column] = table[column].replace({"a": "well", "b": "ill"})
    held = list(range(110, 116)) + list(range(192, 200))
    table.loc[held, "decision"] = NO_ANSWER
    table.loc[held[:5], "reason"] = "not sure enough [UNSURE]"
    table.loc[held[5:], "reason"] = "unlike every image it learned from [UNLIKE_TRAINING]"
    table.loc[list(range(116, 120)), "reason"] = "cut short [DECODE_FAILED]"
    return table


def test_all_who_came_are_counted(rows):
    found = answering(rows, TASK, resamples=50)
    assert sentences(found)[1] == "Of 120 ill: 101 found, 9 missed, 10 unanswered."
    assert found["counts"]["well"] == {"n": 80, "found": 60, "missed": 12, "unanswered": 8}
    assert found["reasons"] == {
        "DECODE_FAILED": {"well": 0, "ill": 4},
        "UNLIKE_TRAINING": {"well": 8, "ill": 1},
        "UNSURE": {"well": 0, "ill": 5},
    }
    assert found["reasons_in_all"] == {"DECODE_FAILED": 4, "UNLIKE_TRAINING": 9, "UNSURE": 5}
    assert found["coverage"]["value"] == pytest.approx(182 / 200)
    assert found["coverage"]["low"] == pytest.approx(wilson(182 / 200, 200).low)


def test_headline_figures_stand_twice(rows):
    found = answering(rows, TASK, resamples=50)
    assert found["all_comers"]["per_class"]["ill"]["recall"]["value"] == pytest.approx(101 / 120)
    assert found["answered_only"]["per_class"]["ill"]["recall"]["value"] == pytest.approx(101 / 110)
    assert found["all_comers"]["per_class"]["well"]["recall"]["value"] == pytest.approx(60 / 80)
    assert found["answered_only"]["per_class"]["well"]["recall"]["value"] == pytest.approx(60 / 72)
    assert found["all_comers"]["accuracy"]["value"] == pytest.approx(161 / 200)
    assert found["answered_only"]["n"] == 182
    assert found["all_comers"]["unread"] == {"well": 8, "ill": 10}
    entry = judge_split(rows, TASK, resamples=50)
    json.dumps(entry, allow_nan=False)
    assert {key: entry[key] for key in summarize(rows, TASK, resamples=50)} == summarize(rows, TASK, resamples=50)
    assert entry["per_class"]["ill"]["recall"]["value"] == pytest.approx(106 / 120)  # had it answered all that it read
    assert entry["risk_coverage"]["aurc"]["value"] > 0


def test_what_is_held_back_cannot_help_to_meet_a_line(rows):
    line = Criterion(figure="sensitivity", at_least=0.8)
    found = judge(Acceptance(name="x", criteria=(line, Criterion(figure="unanswered", at_most=0.2))), rows, TASK)
    assert found[0].found["value"] == pytest.approx(101 / 120)
    assert found[1].state == MET
    assert found[1].found["value"] == pytest.approx(18 / 200)


def test_the_terminal_says_it_where_some_got_no_answer(rows):
    told = lines(judge_split(rows, TASK, resamples=20))
    assert told[0] == "answered: 91.0 %; not answered: 4 DECODE_FAILED, 9 UNLIKE_TRAINING, 5 UNSURE"
    assert "accuracy: all who came 0.805 [" in told[-1]
    assert lines({}) == []


def test_where_all_are_answered_there_is_nothing_beside(rows):
    all_read = rows[rows["predicted"] != ""].assign(decision=lambda table: table["predicted"])
    found = answering(all_read, TASK)
    assert set(found) == {"coverage", "counts", "reasons", "reasons_in_all"}
    assert found["coverage"]["value"] == 1
    assert found["reasons"] == {}


def test_held_back_is_as_if_not_read(rows):
    blank = held_back(rows)
    silent = rows["decision"] == NO_ANSWER
    assert (blank.loc[silent, "predicted"] == "").all()
    assert blank.loc[silent, ["p_ill", "logit_ill"]].isna().all(axis=None)
    assert blank[~silent].equals(rows[~silent])


def test_no_row_at_all(rows):
    entry = judge_split(rows.head(0), TASK)
    assert entry["answering"]["coverage"] == {"value": None, "reason": "no cases"}
    assert entry["risk_coverage"]["aurc"] == {"value": None, "reason": "no cases"}


@pytest.mark.parametrize(("reason", "code"), [("", "OTHER"), ("x [QUALITY] ", "QUALITY"), ("a [B] c", "OTHER"), ("[not a code]", "OTHER")])
def test_codes(reason, code):
    assert code_of(reason) == code


def test_findings_are_counted_by_themselves(rows):
    task = Task(kind="multi", classes={"edema": (), "nodule": ()})
    table = rows.head(4).rename(
        columns={"p_well": "p_edema", "p_ill": "p_nodule", "logit_well": "logit_edema", "logit_ill": "logit_nodule"}
    )
    table = table.assign(
        truth=["edema|nodule", "edema", "none", "nodule"],
        unknown="",
        predicted=["edema", "edema", "nodule", "nodule"],
        decision=["edema", "edema", "nodule", NO_ANSWER],
        reason=["", "", "", "[UNSURE]"],
    )
    entry = judge_split(table, task, resamples=20)
    assert entry["answering"]["counts"] == {
        "edema": {"n": 2, "found": 2, "missed": 0, "unanswered": 0},
        "nodule": {"n": 2, "found": 0, "missed": 1, "unanswered": 1},
    }
    assert entry["answering"]["all_comers"]["per_class"]["nodule"]["recall"]["value"] == 0
    assert entry["risk_coverage"]["aurc"]["value"] is not None
