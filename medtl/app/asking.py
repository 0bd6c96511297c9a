"""What the page asks before a model answers: which model, and what a header leaves unsaid that the model's scope wants to know.

Pure; knows nothing of Gradio. Codes and their words are those of :mod:`medtl.model.codes`, by which the scope is judged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medtl.experiment.schema import Scope
from medtl.measurements import AGE
from medtl.model.codes import KINDS, REGIONS, VIEWS, Codes
from medtl.model.scope import outside

NOT_KNOWN = ""
CODES: Mapping[str, Codes] = {"modality": KINDS, "body_part": REGIONS, "view": VIEWS}
TITLES = {"modality": "What kind of image is it?", "body_part": "Of which part of the body?", "view": "Which view?", AGE: "Age in years"}
_PREFERRED = {"a radiograph": "DX", "a photograph": "XC", "an ultrasound image": "US"}
"""Of a kind's codes the one that stands for an answer; else the first."""


@dataclass(frozen=True)
class Question:
    """A fact of the scope that the header does not say."""

    fact: str
    choices: tuple[tuple[str, str], ...]
    """(words, code), the ones that the model is meant for first; empty for the age, which is a number."""

    @property
    def title(self) -> str:
        return TITLES[self.fact]


def questions(measurement: Mapping[str, Any], scope: Scope) -> list[Question]:
    """What has to be asked so that the scope can be judged, in the order of its facts."""
    asked = [fact for fact in CODES if getattr(scope, fact) and not measurement[fact]]
    found = [Question(fact, _choices(CODES[fact], getattr(scope, fact))) for fact in asked]
    return [*found, *([Question(AGE, ())] if scope.age is not None and not measurement[AGE] else [])]


def _choices(codes: Codes, meant: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Every meaning once, those of the scope first."""
    wanted = {code.upper() for code in meant}
    meanings: dict[str, list[str]] = {}
    for code, stands_for in codes.items():
        for meaning in stands_for:
            meanings.setdefault(meaning, []).append(code)
    single = {meaning: _code_of(meaning, own, codes, wanted) for meaning, own in meanings.items()}
    inside = [(meaning, code) for meaning, code in single.items() if wanted & set(meanings[meaning])]
    rest = [(meaning, code) for meaning, code in single.items() if not wanted & set(meanings[meaning])]
    return tuple((meaning[:1].upper() + meaning[1:], code) for meaning, code in (*inside, *rest))


def _code_of(meaning: str, own: Sequence[str], codes: Codes, wanted: set[str]) -> str:
    """The code that says this meaning: one of the scope's, and as far as there is one, one that says nothing else."""
    preferred = [_PREFERRED.get(meaning, ""), *sorted(own, key=lambda code: (len(codes[code]), code not in wanted))]
    return next(code for code in preferred if code in own)


def fit(facts: Mapping[str, Any], scope: Scope) -> int:
    """How well an image's facts fit a scope: how many of them it names, -1 where one lies outside."""
    if outside(facts, scope):
        return -1
    return sum(bool(facts.get(fact)) and bool(getattr(scope, fact)) for fact in (*CODES, AGE))


def proposed(facts: Mapping[str, Any], scopes: Mapping[str, Scope]) -> tuple[str | None, str]:
    """Which of several models an image is for by its header, and why in words; None where the header does not tell.

    >>> scopes = {"chest": Scope(modality=("DX",)), "skin": Scope(modality=("XC",))}
    >>> proposed({"modality": "DX"}, scopes)
    ('chest', 'the header says modality DX')
    >>> proposed({}, scopes)[0] is None
    True
    """
    fits = {name: fit(facts, scope) for name, scope in scopes.items()}
    best = max(fits.values())
    chosen = [name for name, each in fits.items() if each == best]
    if best > 0 and len(chosen) == 1:
        named = [f"{fact.replace('_', ' ')} {facts[fact]}" for fact in CODES if facts.get(fact) and getattr(scopes[chosen[0]], fact)]
        return chosen[0], "the header says " + ", ".join(named or ["the age"])
    if best < 0:
        return None, "by its header it is for none of these models"
    return None, "the header does not say for which model it is" if best == 0 else "several models are meant for such images"


def cleaned(given: Mapping[str, Any]) -> dict[str, str]:
    """A person's answers as facts: known codes and numbers only, whatever was sent."""
    facts = {fact: str(given.get(fact) or "") for fact in CODES}
    kept = {fact: code for fact, code in facts.items() if code in CODES[fact]}
    age = given.get(AGE)
    return kept | ({AGE: f"{float(age):g}"} if isinstance(age, int | float) and 0 <= float(age) <= 130 else {})
