"""Of every subgroup all who came and those answered, side by side: the table of subgroups judges every image read, `medtl accept` all who
came, and a reader holds one against the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from medtl.contracts import Task
from medtl.document.table import Table, flat
from medtl.estimates import estimate, percent
from medtl.evaluation.answering import held_back
from medtl.evaluation.summary import summarize
from medtl.predictions import NO_ANSWER
from medtl.report.contents import Contents
from medtl.report.judged import judged
from medtl.report.subgroups import DRAWS, Part

_NOTE = (
    "All who came: no answer is no hit, as in medtl accept. Answered only is too good where the hard ones are sent away. The differences "
    "between subgroups are of every image read, had its answer been given: by them a subgroup that gets fewer answers does not fare worse."
)


def answered_table(parts: Sequence[Part], contents: Contents, split: str) -> Table | None:
    """None where every image got an answer, or no subgroup is large enough to be judged."""
    rows = judged(contents.predictions.reset_index(drop=True), split)
    able = [part for part in parts if not part.against.few]
    if not able or not (rows["decision"] == NO_ANSWER).any():
        return None
    shown, raw = [], []
    for part in able:
        own = rows[part.against.where]
        given = own[own["decision"] != NO_ANSWER]
        comers, only = (_figures(summarize(table, contents.task, resamples=DRAWS), contents.task) for table in (held_back(own), given))
        share = len(given) / len(own)
        shown.append([part.label, percent(share), *(estimate(side[name]) for name in comers for side in (comers, only))])
        sides = {f"{name}_{kind}": side[name] for name in comers for kind, side in (("all_comers", comers), ("answered_only", only))}
        raw.append({"by": part.against.by, "level": part.against.level, "answered": share, **flat(sides)})
    names = _names(contents.task)
    header = ["", "answered", *(f"{name}, {who}" for name in names for who in ("all who came", "answered only"))]
    caption = "By subgroup: all who came, and answered only (95 % interval)"
    return Table(f"{split}_subgroups_answered", caption, header, shown, pd.DataFrame(raw), _NOTE)


def _names(task: Task) -> tuple[str, ...]:
    return ("balanced accuracy",) if task.positive_index is None else ("sensitivity", "specificity")


def _figures(entry: Mapping[str, Any], task: Task) -> dict[str, Mapping[str, Any]]:
    """Of two classes sensitivity and specificity, else the mean; notes of absent classes are left to the table of subgroups."""
    yes = task.positive_index
    if yes is None:
        return {"balanced accuracy": {**entry["balanced_accuracy"], "note": ""}}
    sides = (entry["per_class"][task.names[index]]["recall"] for index in (yes, 1 - yes))
    return dict(zip(_names(task), sides, strict=True))
