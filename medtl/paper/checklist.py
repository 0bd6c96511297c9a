"""Reporting checklists, filled in from the results: an answer with a pointer, or "only you can answer"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from medtl.document.table import write_csv
from medtl.files import write_text
from medtl.paper.references import bracketed

NAMES = ("claim_2024", "tripod_ai")
ANSWERED, PARTLY, NOT_APPLICABLE, AUTHOR = "answered", "partly", "not applicable", "only you can answer"
STATES = (ANSWERED, PARTLY, NOT_APPLICABLE, AUTHOR)


@dataclass(frozen=True)
class Answer:
    """What the results say about an item."""

    state: str
    """One of :data:`STATES`; `partly`: the rest only the authors know, and `text` says what that is."""
    text: str
    where: str = ""
    """Files and headings of the kit that hold it, such as `methods.md#Training`; several joined by `; `."""


ONLY_YOU = Answer(AUTHOR, "")


@dataclass(frozen=True)
class Checklist:
    """One guideline's items with their answers."""

    name: str
    title: str
    cites: str
    rows: pd.DataFrame
    """`item, section, asks, state, answer, where`."""


def filled(name: str, answers: Mapping[str, Answer]) -> Checklist:
    """The checklist `name` of :data:`NAMES`, each item with the answer that it names."""
    content: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "checklists" / f"{name}.yaml").read_text(encoding="utf-8"))
    rows = []
    for item in content["items"]:
        given = answers[item["answer"]] if "answer" in item else ONLY_YOU
        rows.append([item["id"], item["section"], item["asks"], given.state, given.text, given.where])
    frame = pd.DataFrame(rows, columns=["item", "section", "asks", "state", "answer", "where"])
    return Checklist(name, content["title"], content["cites"], frame)


def write(checklist: Checklist, folder: Path) -> None:
    """`checklist_<name>.md` and `.csv`."""
    write_csv(checklist.rows, folder / f"checklist_{checklist.name}.csv")
    write_text(folder / f"checklist_{checklist.name}.md", markdown(checklist))


def markdown(checklist: Checklist) -> str:
    """A table; what only the authors can answer stands out, and its number is said first."""
    rows = checklist.rows
    counts = ", ".join(f"{int((rows['state'] == state).sum())} {state}" for state in STATES)
    lines = [
        f"# {checklist.title}",
        f"{len(rows)} items{bracketed([checklist.cites])}: {counts}. The items are in our own words: read the guideline's, and "
        "compare the numbers. `partly` and `only you can answer` wait for you; pages of the manuscript are yours to add.",
        "\n".join(
            ["| item | section | asks for | state | answer | where |", "|---|---|---|---|---|---|", *map(_line, rows.to_numpy().tolist())]
        ),
    ]
    return "\n\n".join(lines) + "\n"


def _line(cells: list[str]) -> str:
    item, section, asks, state, text, where = (str(cell).replace("|", "\\|") for cell in cells)
    marked = f"**{state}**" if state in (PARTLY, AUTHOR) else state
    return f"| {item} | {section} | {asks} | {marked} | {text} | {where} |"
