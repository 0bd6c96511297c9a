"""One order of reasons: unreadable, out of scope, unlike, quality, unsure."""

from __future__ import annotations

from dataclasses import fields

from hypothesis import given
from hypothesis import strategies as st

from medtl.decisions.precedence import Reasons

ORDER = ["unreadable", "out_of_scope", "unlike", "quality", "unsure"]


@given(st.lists(st.sets(st.sampled_from(ORDER)), max_size=8))
def test_the_first_that_applies_counts(against: list[set[str]]) -> None:
    reasons = Reasons(**{kind: [kind if kind in each else "" for each in against] for kind in ORDER})
    assert reasons.first() == [next((kind for kind in ORDER if kind in each), "") for each in against]
    assert [each.name for each in fields(Reasons)] == ORDER


def test_nothing_speaks_against_an_answer() -> None:
    assert Reasons.none(2).first() == ["", ""]
    assert Reasons.unread(["", "cut [NOT_AN_IMAGE]"]).first() == ["", "cut [NOT_AN_IMAGE]"]
