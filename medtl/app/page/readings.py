"""What a reader says of a case, before and after the model: checked, and as rows of a reader-study table. Pure; knows nothing of Gradio.

The table is long, as programs for multi-reader multi-case (MRMC) studies read it: a row per reader, case, condition and what was rated.
Rated is how probable something is, 0 to 100: ROC analyses (Dorfman, Berbaum & Metz, Invest Radiol 1992; Obuchowski & Rockette, Commun Stat
Simul Comput 1995) need an ordered rating of every case; a hundred steps are usual (Rockette, Gur & Metz, Invest Radiol 1992).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from medtl.contracts import NONE, Task
from medtl.errors import MedtlError
from medtl.findings import BETWEEN
from medtl.flows.predict import harmless

WITHOUT, WITH = "without model", "with model"
COLUMNS = (
    "reader", "treatment", "case", "rated", "rating", "called", "decision", "seconds", "session", "order", "cases", "seed", "at", "sha256",
    "number", "model", "model_fingerprint", "model_decision", "model_reason", "model_probability", "engine", "medtl",
)  # fmt: skip
"""`reader`, `treatment`, `case` and `rating` as the R package MRMCaov calls them; docs/reader_study.md says what each holds."""
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")


@dataclass(frozen=True)
class Opinion:
    """What a reader thinks of one case."""

    called: tuple[str, ...]
    """The class; or the findings that are there, none or more."""
    ratings: Mapping[str, float]
    """Each of :func:`rated` → 0 to 100."""

    @property
    def decision(self) -> str:
        return BETWEEN.join(self.called) or NONE


def rated(task: Task) -> tuple[str, ...]:
    """What a rating is asked of: of two classes the positive one, else every class or finding."""
    positive = task.positive_index
    return task.names if positive is None else (task.names[positive],)


def code_of(given: str) -> str:
    """A reader's code as it was typed. Raises MedtlError where it is none."""
    code = given.strip()
    if not _CODE.fullmatch(code):
        raise MedtlError(
            "Give your reader code: letters, digits and . _ - only, 32 at most, beginning with a letter or a digit; no name of a patient"
        )
    return code


def opinion(task: Task, called: str | Sequence[str] | None, ratings: Sequence[float | None]) -> Opinion:
    """A reading as it was filled in. `ratings`: in the order of :func:`rated`; of several, an empty one counts as 0 unless it was called.

    Raises MedtlError: nothing is called, a rating is missing or outside 0 to 100.
    """
    allowed = (*task.names, NONE) if task.kind == "multi" else task.names
    chosen = [name for name in allowed if name in ([called] if isinstance(called, str) else called or ())]
    if not chosen:
        raise MedtlError("Say first what you see" + (": a finding, or that there is none" if task.kind == "multi" else ": choose a class"))
    if task.kind == "multi" and NONE in chosen and len(chosen) > 1:
        raise MedtlError("You chose findings and that there is none; untick one of the two")
    known = [name for name in chosen if name in task.names]
    names = rated(task)
    needed = names if len(names) == 1 else known
    given = dict(zip(names, ratings, strict=False))
    for name in names:
        value = given.get(name)
        if value is None and name in needed:
            raise MedtlError(f"Say how probable {name} is, from 0 to 100")
        if value is not None and not 0 <= value <= 100:
            raise MedtlError(f"How probable {name} is, goes from 0 to 100; {value:g} was given")
    return Opinion(tuple(known), {name: float(given.get(name) or 0) for name in names})


def rows(said: Opinion, treatment: str, facts: Mapping[str, Any], probabilities: Mapping[str, float] | None = None) -> list[dict[str, str]]:
    """One row for each that was rated. `facts`: the other columns; `probabilities`: the model's, where it was seen and gave an answer."""
    shown = {name: "" if facts.get(name) is None else harmless(str(facts[name])) for name in COLUMNS}
    made = []
    for name, rating in said.ratings.items():
        p = (probabilities or {}).get(name, float("nan"))
        made.append(
            {
                **shown, "treatment": treatment, "rated": harmless(name), "rating": f"{rating:g}", "called": str(int(name in said.called)),
                "decision": harmless(said.decision), "model_probability": f"{p:.6f}" if p == p else "",
            }
        )  # fmt: skip
    return made


def csv(table: Sequence[Mapping[str, str]], header: bool = True) -> str:
    """Rows as CSV."""
    return str(pd.DataFrame(list(table), columns=list(COLUMNS)).to_csv(index=False, header=header, lineterminator="\n"))
