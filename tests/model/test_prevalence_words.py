"""PPV and NPV beside an answer: whether they are as if every image were answered."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from medtl.contracts import Task
from medtl.evaluation.figures import estimate
from medtl.evaluation.intervals import wilson
from medtl.model.prevalence import Elsewhere

TASK = Task(classes={"well": (), "ill": ()})


def _entry(found: float, cleared: float, **more: Any) -> dict[str, Any]:
    sides = {name: {"recall": estimate(value, wilson(value, 100))} for name, value in (("well", cleared), ("ill", found))}
    sides["ill"]["prevalence"] = {"value": 0.5}
    return {"per_class": sides, **more}


def _said(entry: dict[str, Any], gate: object = None) -> str:
    package: Any = SimpleNamespace(task=TASK, gate=gate, conformal=None, operating_point=SimpleNamespace(threshold=0.4))
    return Elsewhere(package, {"splits": {"test": entry}}, "ill", 0.5, 0.1).sentences()[-1]


def test_where_some_got_no_answer_it_is_said_and_the_answered_stand_beside() -> None:
    answering = {"coverage": {"value": 0.8}, "all_comers": {}, "answered_only": _entry(0.9, 0.9)}
    said = _said(_entry(0.8, 0.8, answering=answering))
    assert "on test: PPV 0.308 (" in said  # 0.8 · 0.1 / (0.8 · 0.1 + 0.2 · 0.9)
    assert ", as if every image were answered; of the answers that were given (80.0 %): PPV 0.500 (" in said  # 0.09 / (0.09 + 0.09)


def test_where_all_were_answered_nothing_is_added() -> None:
    assert "as if" not in _said(_entry(0.8, 0.8, answering={"coverage": {"value": 1.0}}), gate=object())


def test_of_figures_that_did_not_count_answers_a_gate_says_enough() -> None:
    assert _said(_entry(0.8, 0.8), gate=object()).endswith(", as if every image were answered.")
    assert "as if" not in _said(_entry(0.8, 0.8))
