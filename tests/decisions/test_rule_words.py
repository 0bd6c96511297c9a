"""What a package says of its rule leads back to the rule."""

from __future__ import annotations

import pytest

from medtl.decisions.rule_words import rule_of
from medtl.decisions.threshold import RULES, said
from medtl.registry import names, parse_choice

RULE = [
    "youden",
    "f1",
    {"name": "sensitivity", "at_least": 0.95},
    {"name": "specificity", "at_least": 0.9},
    {"name": "ppv", "at_least": 0.5},
    {"name": "ppv", "at_least": 0.5, "prevalence": 0.1},
]


@pytest.mark.parametrize("given", RULE)
@pytest.mark.parametrize("reached", [True, False])
def test_every_rule_there_and_back(given, reached):
    rule = parse_choice(RULES, given)
    assert rule_of(said(rule, reached)) == rule


def test_no_rule_is_forgotten():
    assert {each if isinstance(each, str) else each["name"] for each in RULE} == set(names(RULES))


def test_a_guaranteed_threshold_is_chosen_by_its_bound():
    assert rule_of("recall >= 0.9, guaranteed with a confidence of 0.95") == parse_choice(RULES, {"name": "sensitivity", "at_least": 0.9})
    assert rule_of("argmax") is None
    assert rule_of("adjusted") is None
