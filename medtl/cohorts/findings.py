"""Several findings per image (`task.kind: multi`): from what a source writes to `y_<class>` in {"0", "1", ""} and `label` in words.

A source hands over either `spelling`, where one cell names all findings joined by `|`, or a column `y_<class>` for each class, with its
cells as they are written.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator

import pandas as pd

from medtl import findings
from medtl.cohorts.source_table import SourceTable, counted, rows_listed
from medtl.contracts import NONE, Task
from medtl.errors import did_you_mean, listed

_CELLS = ("1", "0", "")


def class_columns(task: Task, there: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """The column of each class, by its spellings or its own name, and a mistake for each class that has none, or two."""
    there = list(there)
    found, mistakes = {}, []
    for name, spellings in task.classes.items():
        own = [column for column in dict.fromkeys((*spellings, name)) if column in there]
        if len(own) == 1:
            found[name] = own[0]
        elif own:
            mistakes.append(f"the class '{name}' has several columns: {listed(own)}; name one of them in task.classes")
        else:
            asked = " or ".join(f"'{column}'" for column in dict.fromkeys((*spellings, name)))
            near = did_you_mean((*spellings, name)[0], there)
            mistakes.append(f"the class '{name}' has no column ({asked}){near}; columns: {listed(there)}")
    return found, mistakes


def name_findings(source: SourceTable, task: Task) -> None:
    """Give `source.table` its columns of findings; what cannot be read is a mistake, with its rows."""
    table = source.table = source.table.copy()
    if not findings.columns_of(table):
        _split_spellings(source, task)
    for name in task.names:
        column = findings.PREFIX + name
        cells = table[column].str.strip().str.replace(r"^([01])\.0+$", r"\1", regex=True)
        for text, rows in table[~cells.isin(_CELLS)].groupby(column):
            source.mistakes.append(
                f"{counted(len(rows), 'row')} with '{text}' for the class '{name}'; allowed: 1, 0 or nothing (not known), "
                f"and what `uncertain` names; rows: {rows_listed(rows, 5)}"
            )
        table[column] = cells.where(cells.isin(_CELLS), "")
    known = findings.numbers(table, task.names)
    table["label"] = findings.words(known, task.names)
    bare = int((table["label"] == "").sum())
    if bare:
        source.notes.append(f"{counted(bare, 'image')} without a label: kept in records, not trained on")
    gaps = [f"{name} {int((table[findings.PREFIX + name] == '').sum()) - bare:,}" for name in task.names]
    if findings.unknown_words(known, task.names).count("") + bare < len(table):
        source.notes.append(f"not known of some labelled images, and left out of the class alone: {listed(gaps, most=20)}")


def one_sided(table: pd.DataFrame, task: Task, place: str) -> Iterator[str]:
    """A mistake for each class that none of these images, or all whose label is known, have: it can be neither learned nor judged."""
    for name in task.names:
        cells = Counter(table[findings.PREFIX + name])
        for value, what in (("1", "with"), ("0", "known to be without")):
            if not cells[value]:
                there = f"with {cells['1']:,}, without {cells['0']:,}, not known {cells['']:,}"
                yield f"no image {what} '{name}' in {place} ({there})"


def _split_spellings(source: SourceTable, task: Task) -> None:
    """One cell of joined spellings → a column per class; an empty cell is not known."""
    table, classes = source.table, task.class_of()
    named = [{_spelling(part.strip(), classes) for part in text.split(findings.BETWEEN)} - {""} for text in table["spelling"]]
    apart = Counter(part for parts in named for part in parts if part not in classes and part not in (*task.ignore, NONE))
    for text, count in sorted(apart.items()):
        near = did_you_mean(text, [*classes, *task.ignore])
        source.mistakes.append(
            f"{counted(count, 'row')} with the finding '{text}', which is no spelling of a class and not in task.ignore{near}; "
            f"spellings: {listed(classes)}"
        )
    found = [{classes.get(part, "") for part in parts} for parts in named]
    for name in task.names:
        has = ["" if not parts else "1" if name in classed else "0" for parts, classed in zip(named, found, strict=True)]
        table[findings.PREFIX + name] = pd.Series(has, index=table.index, dtype=object)


def _spelling(text: str, known: Container[str]) -> str:
    """`1.0` is the spelling `1` where only that is known: spreadsheets write whole numbers so."""
    return text if text in known else re.sub(r"^([+-]?\d+)\.0+$", r"\1", text)
