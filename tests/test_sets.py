"""What is said of conformal sets: the promise, what lacks for it, and what to do where nobody gets an answer."""

from __future__ import annotations

from typing import Any

import pytest

from medtl import sets
from medtl.decisions.conformal import fit

SINGLE = {"alpha": 0.1, "unit": "patient", "least": [0.3, 0.2], "groups": [40, 30]}
FINDINGS = {
    "alpha": 0.1, "unit": "patient",
    "findings": [{"least": [0.3, 0.2], "groups": [40, 30]}, {"least": [0.3, 0.0], "groups": [60, 8]}],
}  # fmt: skip


def package(stored: dict[str, Any] | None, kind: str = "single") -> dict[str, Any]:
    return {"task": {"kind": kind, "classes": {"edema": [], "nodule": []}}, "conformal": stored}


def test_the_promise_of_classes_and_of_findings() -> None:
    [single] = sets.said(package(SINGLE))
    assert (
        "of each class at least 90 % of the patients have it in the sets of all their images, on average over such held-out parts" in single
    )
    assert single.endswith("so at most 10 % of the patients of a class get a wrong answer.")
    several, lacks = sets.said(package(FINDINGS, "multi"))
    assert "of each finding by itself: of the patients with it, and of those without it, at least 90 %" in several
    assert "at most 10 % are missed and at most 10 % called falsely; that all findings are right at once is less sure." in several
    assert lacks == "That takes 9 held-out patients of each, and there are: with nodule 8. No set rules these out: hold out more."
    assert "void here" in sets.void(package(SINGLE))
    assert (sets.said(package(None)), sets.void(package(None))) == ([], "")


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.3])
def test_with_the_fewest_groups_a_class_can_be_ruled_out_and_with_one_less_not(alpha: float) -> None:
    for groups, able in ((sets.fewest_groups(alpha), True), (sets.fewest_groups(alpha) - 1, False)):
        assert (fit([[0.5, 0.5]] * groups, [0] * groups, range(groups), alpha).least[0] > 0) == able


@pytest.mark.parametrize(
    ("share", "reasons", "said"),
    [
        (0.0, {"UNSURE": 9, "QUALITY": 1}, "No image got an answer. Of 10 without one, 9 are UNSURE: their sets hold several classes"),
        (0.04, {"UNLIKE_TRAINING": 24}, "Next to no image (4.0 %) got an answer. Of 24 without one, 24 are UNLIKE_TRAINING: they look"),
        (0.01, {"OUT_OF_SCOPE": 99}, "are OUT_OF_SCOPE: header or table state that they are not what the model is for"),
        (0.01, {"DECODE_FAILED": 99}, "are DECODE_FAILED: they could not be read"),
    ],
)
def test_what_to_do_where_nobody_gets_an_answer(share: float, reasons: dict[str, int], said: str) -> None:
    hint = sets.hint(package(SINGLE), {"coverage": {"value": share}, "reasons_in_all": reasons})
    assert said in hint
    assert ("decision.conformal.alpha (it is 0.1)" in hint) == ("UNSURE" in reasons)


def test_no_hint_where_answers_are_given_or_nobody_came() -> None:
    for answers in ({"coverage": {"value": 0.05}, "reasons_in_all": {"UNSURE": 95}}, {"coverage": {"value": None}, "reasons_in_all": {}}):
        assert sets.hint(package(SINGLE), answers) == ""
