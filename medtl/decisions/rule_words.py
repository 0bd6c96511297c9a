"""A rule of `medtl.decisions.rules` from the words that a package keeps of it: the inverse of :func:`medtl.decisions.threshold.said`."""

from __future__ import annotations

import re
from typing import Any

from medtl.decisions.threshold import RULES
from medtl.registry import Settings, parse_choice

_PLAIN = re.compile(r"(youden|f1)\b")
_KEPT = re.compile(r"(sensitivity|specificity|ppv|recall) >= ([0-9.e-]+)(?: at a prevalence of ([0-9.e-]+))?")


def rule_of(words: str) -> Settings | None:
    """The rule that a threshold was chosen by; of a guaranteed one, the same bound without the guarantee; None where the words name none.

    >>> rule_of("sensitivity >= 0.95, out of reach on these images: the nearest is taken")
    Settings(name='sensitivity', at_least=0.95)
    >>> rule_of("argmax") is None
    True
    """
    if plain := _PLAIN.match(words):
        return _parsed(plain.group(1))
    found = _KEPT.match(words)
    if found is None:
        return None
    name, bound, prevalence = found.groups()
    given: dict[str, Any] = {"name": "sensitivity" if name == "recall" else name, "at_least": float(bound.rstrip("."))}
    return _parsed({**given, **({"prevalence": float(prevalence)} if prevalence else {})})


def _parsed(given: str | dict[str, Any]) -> Settings:
    rule = parse_choice(RULES, given)
    assert isinstance(rule, Settings)
    return rule
