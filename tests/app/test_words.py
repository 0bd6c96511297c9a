"""What the page says, word by word."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medtl.app import words
from medtl.app.desk import Verdict
from medtl.experiment.schema import Scope
from medtl.model import format as package_format

shares = st.floats(1e-6, 1 - 1e-6)


@pytest.fixture
def binary(package, tmp_path):
    return package_format.read(package(tmp_path / "model"))


def test_a_binary_decision_is_told_by_its_threshold(binary):
    assert (
        words.because(binary, {"normal": 0.2, "ill": 0.8}, "ill", "") == "The probability of ill, 80.0 %, reaches the threshold of 40.0 %."
    )
    told = words.because(binary, {"normal": 0.6004, "ill": 0.3996}, "normal", "")
    assert told == "The probability of ill, 39.96 %, stays below the threshold of 40.00 %."


def test_one_of_several_is_told_by_the_next(package, tmp_path):
    three = package_format.read(package(tmp_path / "model", ("a", "b", "c")))
    told = words.because(three, {"a": 0.2, "b": 0.5, "c": 0.3}, "b", "")
    assert told == "The most probable of 3 classes, at 50.0 %; the next is c, at 30.0 %."
    assert words.operating_point(three) == ""


def test_a_rare_class_that_was_preferred_is_told_beside_the_most_probable(package, tmp_path):
    three = package_format.read(package(tmp_path / "model", ("a", "b", "c"), adjusted=(-0.1, -1.5, -2.5)))
    told = words.because(three, {"a": 0.5, "b": 0.3, "c": 0.2}, "c", "")
    assert told == "At 20.0 %, preferred because it is rarer; the most probable of 3 classes is a, at 50.0 %."
    assert words.because(three, {"a": 0.9, "b": 0.08, "c": 0.02}, "a", "").startswith("The most probable of 3 classes")


def test_no_answer_has_its_reason_without_the_code(binary):
    told = words.because(binary, {}, "no answer", "the network gave no finite answer for this image [NOT_FINITE]")
    assert told == "No answer, because the network gave no finite answer for this image."


def test_the_threshold_says_where_it_comes_from(binary):
    assert words.operating_point(binary) == "Threshold by Youden's index on 8 validation images."
    for rule, said in (
        ("sensitivity >= 0.95", "a sensitivity of at least 95 %"),
        ("ppv >= 0.5 at a prevalence of 0.1", "a precision (PPV) of at least 50 % at a prevalence of 10 %"),
        ("ppv >= 0.9, out of reach on these images: the nearest is taken",
         "a precision (PPV) of at least 90 %, out of reach on these images: the nearest is taken"),
    ):  # fmt: skip
        point = binary.operating_point.model_copy(update={"rule": rule})
        assert words.operating_point(binary.model_copy(update={"operating_point": point})) == f"Threshold by {said} on 8 validation images."


@given(shares, shares)
def test_unequal_numbers_are_never_shown_as_equal(probability, threshold):
    given_text, needed = words.apart(probability, threshold)
    if abs(probability - threshold) > 1e-9:
        assert given_text != needed


def measured(**values):
    receipt = {"bits": 12, "photometric": "MONOCHROME1", "inverted": True, "intensity": "window LINEAR", "orientation": "as stored"}
    return {"format": "DICOM", "width": 1841.0, "height": 1955.0, "modality": "", "body_part": "", "view": "", "age": "",
            "receipt": json.dumps(receipt), **values}  # fmt: skip


def test_how_the_image_was_read():
    assert words.how_read(measured(), 1, 1) == "DICOM · 1,841 × 1,955 pixels · 12 bits · MONOCHROME1, inverted for display · window LINEAR"
    assert "image 2 of 1,200 in the file" in words.how_read(measured(), 2, 1200)


UNSAID = "Not checked, because nobody said it: view. The model is for CR, view PA or AP."


@pytest.mark.parametrize(
    ("values", "given", "scope", "expected"),
    [
        ({"modality": "CR"}, {}, {}, []),
        ({"modality": "CR"}, {}, {"modality": ["CR"], "view": ["PA", "AP"]}, [UNSAID]),
        ({"modality": "CR"}, {"view": "PA"}, {"modality": ["CR"], "view": ["PA", "AP"]}, []),
        ({"modality": "CR", "view": "XYZ"}, {}, {"modality": ["CR"], "view": ["PA"]}, ["The view is XYZ; the model is meant for PA."]),
        ({}, {"age": "40"}, {"modality": ["CR"], "age": [0, 18]}, ["Not checked, because nobody said it: modality."]),
    ],
)  # fmt: skip
def test_what_nobody_said_and_what_is_no_known_code_is_told(values, given, scope, expected):
    found = words.out_of_scope(measured(**values), Scope.model_validate(scope), given)
    assert len(found) == len(expected)
    assert all(text.startswith(beginning) for text, beginning in zip(found, expected, strict=True))


def test_the_checks_end_with_the_one_that_said_no(binary):
    def verdict(reason):
        return Verdict(binary, {}, "no answer" if reason else "ill", reason)

    titles = ["Read", "In scope", "Like what it knows", "Quality", "Sure"]
    assert [title for title, _ in words.checks(verdict(""), binary.scope, "yes", {"Modality": "DX"})] == titles
    stopped = words.checks(verdict("it has next to no contrast [QUALITY]"), binary.scope, "yes", {})
    assert [title for title, _ in stopped] == titles[:4]
    assert stopped[-1][1] == "no: it has next to no contrast"
    assert words.checks(verdict("is empty [NOT_AN_IMAGE]"), binary.scope, "yes", {}) == [("Read", "no: is empty")]


def test_where_it_fails_is_told_by_its_own_recall(binary):
    recall = {"value": 0.8, "low": 0.7, "high": 0.9}
    told = words.weak_places(
        [{"per_class": {"ill": {"recall": recall}, "normal": {"recall": {"value": None, "reason": "no cases"}}}}], binary
    )
    assert told[0] == "Of ill it calls 20.0 % something else (10.0 % to 30.0 %)."


def test_a_recall_without_an_interval_is_shown_with_the_reason(binary):
    recall = {"value": 1.0, "low": None, "high": None, "reason": "one group only"}
    told = words.weak_places([{"per_class": {"ill": {"recall": recall}}}], binary)
    assert told[0] == "Of ill it calls 0 % something else; without an interval: one group only."


def test_the_scope_in_words():
    assert words.scope(Scope(modality=("CR", "DX"), age=(0, 18))) == "modality CR or DX; 0 to 18 years"
    assert "not stated" in words.scope(Scope())


@pytest.mark.parametrize(
    ("width", "height", "origin", "said"),
    [
        (1170.0, 2532.0, "", "It looks like a screenshot (its size, 1,170 × 2,532 pixels, is that of a screen)"),
        (600.0, 400.0, "screenshot", "It looks like a screenshot (by its own data)"),
        (600.0, 400.0, "camera ACME One", "A photograph, by its own data (ACME One)"),
        (1024.0, 768.0, "", None),
    ],
)  # fmt: skip
def test_a_picture_is_named_as_what_it_looks_like_with_the_grounds(width, height, origin, said):
    row = measured(format="PNG", width=width, height=height, quarantine="", receipt=json.dumps({"origin": origin}))
    found = words.looks_like(row)
    assert found[0].startswith(said) if said else not found
