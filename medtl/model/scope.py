"""Images that a model was never meant for, by what is stated of them: a CT slice is no radiograph, whatever the network would say of it.

Kind, body part, view and age, from the file's header, or where that is silent from a column of the table. Only what is stated is judged,
and only codes that are known: everything else is the reader's to judge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from medtl.experiment.schema import Scope
from medtl.imaging.dicom_facts import years
from medtl.measurements import AGE
from medtl.model.codes import KINDS, REGIONS, VIEWS
from medtl.predictions import OUT_OF_SCOPE
from medtl.records import KEY

if TYPE_CHECKING:
    from medtl.imaging.store import Store

FACTS = ("modality", "body_part", "view", AGE)
"""What a scope may name."""
OLDEST = 90
"""From this age on no number is said: so few are older that it would point at a person."""


def outside(facts: Mapping[str, Any], scope: Scope, source: str = "its header says") -> str:
    """Why the model does not answer for an image of which these :data:`FACTS` are stated; empty where it may.

    >>> outside({"modality": "CT"}, Scope(modality=("CR", "DX")))
    'its header says that it is a CT image, and the model is for CR or DX'
    >>> outside({"view": "LL"}, Scope(view=("PA", "AP"))), outside({"view": "FRONTAL"}, Scope(view="PA"))
    ('its header says view LL, and the model is for PA or AP', '')
    >>> outside({"age": "64"}, Scope(age=(0, 18)))
    'its header says that the patient is 64 years old, and the model is for 0 to 18 years'
    """
    said = {fact: str(facts.get(fact) or "").strip().upper() for fact in FACTS}
    kind = _apart(said["modality"], scope.modality, KINDS)
    if kind:
        return f"{source} that it is {next(iter(kind))}, and the model is for {_either(scope.modality)}"
    for fact, known in (("body_part", REGIONS), ("view", VIEWS)):
        meant: tuple[str, ...] = getattr(scope, fact)
        if _apart(said[fact], meant, known):
            return f"{source} {fact.replace('_', ' ')} {said[fact]}, and the model is for {_either(meant)}"
    return _of_another_age(said[AGE], scope, source)


def _apart(code: str, meant: Sequence[str], known: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """What `code` stands for, where that is nothing of what is meant; empty where it may be, or where one of the codes is not known."""
    given, wanted = known.get(code, frozenset()), [known.get(each.strip().upper(), frozenset()) for each in meant]
    if not given or not wanted or not all(wanted) or any(given & each for each in wanted):
        return frozenset()
    return given


def _of_another_age(stated: str, scope: Scope, source: str) -> str:
    age = years(stated)
    if scope.age is None or not age or scope.age[0] <= float(age) <= scope.age[1]:
        return ""
    told = f"{int(float(age))} years old" if float(age) < OLDEST else f"{OLDEST} years old or older"
    return f"{source} that the patient is {told}, and the model is for {scope.age[0]:g} to {scope.age[1]:g} years"


def _either(codes: Sequence[str]) -> str:
    return codes[0] if len(codes) == 1 else f"{', '.join(codes[:-1])} or {codes[-1]}"


def why(header: Mapping[str, Any], table: Mapping[str, Any], scope: Scope, source: str = "its row of the table says") -> str:
    """:func:`outside` of what the header says, and of what a table (or another `source`) says where the header is silent."""
    silent = {fact: value for fact, value in table.items() if not header.get(fact)}
    return outside(header, scope) or outside(silent, scope, source)


def refusals(measured: pd.DataFrame, ages: Sequence[object], scope: Scope, table: pd.DataFrame | None = None) -> list[str]:
    """(N,) for each row of measurements why it is out of scope, or empty.

    `ages`: (N,) years by the headers. `table`: has rows of the same (image, frame), and some of :data:`FACTS` as columns, which stand in
    for headers that do not say them.
    """
    header = measured[["modality", "body_part", "view"]].assign(age=list(ages)).to_dict("records")
    return [why(said, other, scope) for said, other in zip(header, beside_of(measured, table), strict=True)]


def beside_of(measured: pd.DataFrame, table: pd.DataFrame | None) -> list[dict[Any, Any]]:
    """(N,) what a table says of the images of N rows of measurements, of those :data:`FACTS` that it has as columns."""
    columns = [fact for fact in FACTS if table is not None and fact in table.columns]
    if table is None or not columns:
        return [{}] * len(measured)
    joined = measured[KEY].merge(table[[*KEY, *columns]].drop_duplicates(KEY), on=KEY, how="left")
    return joined[columns].fillna("").astype(str).to_dict("records")


def set_aside(store: Store, scope: Scope, table: pd.DataFrame | None = None) -> None:
    """Quarantine the images out of scope, so that a model does not learn from what it will not answer for; `table`: see `refusals`."""
    measured = store.measurements
    reasons = np.asarray(refusals(measured, list(store.ages), scope, table), object)
    other = store.usable & (reasons != "")
    measured.loc[other, "quarantine"] = OUT_OF_SCOPE
    measured.loc[other, "reason"] = reasons[other]
    store.usable = store.usable & ~other
