"""What is asked before an answer, and which model a header proposes."""

from __future__ import annotations

import pytest

from medtl.app.asking import cleaned, proposed, questions
from medtl.experiment.schema import Scope
from medtl.model.scope import outside

SILENT = {"modality": "", "body_part": "", "view": "", "age": ""}
CHEST = Scope(modality=("CR", "DX"), body_part=("CHEST",), view=("PA", "AP"), age=(18, 130))
SKIN = Scope(modality=("XC", "DMS"), body_part=("SKIN",))


def test_only_what_scope_wants_and_header_does_not_say_is_asked():
    assert [each.fact for each in questions(SILENT, CHEST)] == ["modality", "body_part", "view", "age"]
    assert [each.fact for each in questions({**SILENT, "modality": "DX", "view": "PA"}, CHEST)] == ["body_part", "age"]
    assert [each.fact for each in questions(SILENT, SKIN)] == ["modality", "body_part"]
    assert questions(SILENT, Scope()) == []


@pytest.mark.parametrize("scope", [CHEST, SKIN])
def test_every_choice_is_judged_as_its_words_say(scope):
    """The first choices are inside the scope, all others outside, so that no answer means nothing."""
    for question in filter(lambda each: each.choices, questions(SILENT, scope)):
        verdicts = [outside({question.fact: code}, scope) == "" for _, code in question.choices]
        assert verdicts[0]
        assert verdicts == sorted(verdicts, reverse=True), question.choices
        assert len({words for words, _ in question.choices}) == len(question.choices)


@pytest.mark.parametrize(
    ("facts", "model"),
    [
        ({"modality": "DX", "body_part": "CHEST"}, "chest"),
        ({"modality": "XC"}, "skin"),
        ({"modality": "CT"}, None),
        ({"modality": "DX", "age": "4"}, None),
        ({}, None),
    ],
)
def test_the_model_is_proposed_by_the_header(facts, model):
    chosen, why = proposed({**SILENT, **facts}, {"chest": CHEST, "skin": SKIN})
    assert chosen == model
    assert why


def test_two_models_for_such_images_are_not_told_apart():
    chosen, why = proposed({**SILENT, "modality": "DX"}, {"a": CHEST, "b": CHEST})
    assert (chosen, why) == (None, "several models are meant for such images")


def test_what_is_no_known_code_and_no_age_is_dropped():
    assert cleaned({"modality": "DX", "body_part": "<b>", "view": None, "age": 40}) == {"modality": "DX", "age": "40"}
    assert cleaned({"age": -3}) == {} == cleaned({"age": "old"})
