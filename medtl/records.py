"""The records table: one row per image, the spine of a run. CSV, UTF-8, ids as strings, empty = unknown.

Columns, in this order (`(image, frame)` is the key that joins every other table):

- `image`: POSIX path relative to the data root. A member of an archive follows it: `set.npz/train_images`.
- `frame`: position inside a multi-image file (0 for ordinary files).
- `sha256`: of the file's bytes (of the array slice for NPZ).
- `label`: a class name of the task, empty = unknown. Where an image may have several findings (`task.kind: multi`) the file has `y_<class>`
  in {0, 1, empty} for each instead; read, a table has these and `label` in words (:func:`medtl.findings.words`).
- `patient_id`: keyed hash; `group_id`, `group_kind`: the statistical unit (patient, lesion, study, image).
- `domain`, `split` (train, validation, calibration, test, external, excluded), `fold` (empty, or 0 … k-1).
- then the columns of `keep` (age, sex, view …), and with `task.learn: spellings` the `spelling` of each label.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from medtl import findings
from medtl.contracts import SPLITS
from medtl.errors import MedtlError, Mistakes, listed

KEY = ["image", "frame"]
COLUMNS = [*KEY, "sha256", "label", "patient_id", "group_id", "group_kind", "domain", "split", "fold"]
SPELLING = "spelling"
"""Of each label in its source, where these are learned: `task.learn: spellings`."""
GROUP_KINDS = ("patient", "lesion", "study", "image")

_PERSONAL = ("names?", "surname", "firstname", r"birth\w*", "dob", "address", "phone", "email")
_FREE_TEXT = (r"comment\w*", r"note\w*", "report", "history", r"free\w*text")
_REFUSED = re.compile(rf"(?i)(?:^|_|\s)(?:{'|'.join(_PERSONAL + _FREE_TEXT)})(?:$|_|\s)|patient_?name|birth_?date")


def kept_columns(table: pd.DataFrame) -> list[str]:
    """The columns that came by `keep`: age, sex, site … The spelling of a label is none of them: it is the label."""
    return [column for column in table.columns if column not in (*COLUMNS, SPELLING, *findings.columns_of(table))]


def refuse_personal_columns(columns: Iterable[str]) -> None:
    """Raise if a column to be kept would carry names, birth dates or free text into a run."""
    refused = [column for column in columns if _REFUSED.search(column)]
    if refused:
        raise MedtlError(
            f"keep: {listed(refused)}: names, birth dates and free text are not taken into records "
            "(age in years, sex, view, site and the like are)"
        )


def read(path: Path) -> pd.DataFrame:
    """Read a records table as written by :func:`write`: all columns strings except `frame` (int); checks columns and key."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    table["frame"] = table["frame"].astype(int)
    own = findings.columns_of(table)
    if own and "label" in table.columns:
        raise MedtlError(f"{path}: has a label and columns called as findings are ({listed(own)}); train again without them in `keep`")
    if own:
        classes = [column.removeprefix(findings.PREFIX) for column in own]
        table.insert(COLUMNS.index("label"), "label", findings.words(findings.numbers(table, classes), classes))
    check(table, str(path))
    return table


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a records table, columns in the documented order, rows sorted by key, so that equal tables are equal files."""
    check(table, str(path))
    own = findings.columns_of(table)
    rest = [column for column in table.columns if column not in (*COLUMNS, *own)]
    place = COLUMNS.index("label")
    leading = [*COLUMNS[:place], *(own or ["label"]), *COLUMNS[place + 1 :]]
    table.sort_values(KEY)[[*leading, *rest]].to_csv(path, index=False, encoding="utf-8", lineterminator="\n")


def check(table: pd.DataFrame, where: str) -> None:
    """Raise :class:`Mistakes` where `table` is no records table: columns missing, key repeated, unknown split or group kind."""
    mistakes = [f"column '{column}' is missing" for column in COLUMNS if column not in table.columns]
    if not mistakes:
        repeated = table[table.duplicated(KEY, keep=False)]
        if len(repeated):
            mistakes.append(f"{len(repeated)} rows repeat an (image, frame): {listed(repeated['image'].unique())}")
        for column, allowed in (("split", ("", *SPLITS)), ("group_kind", ("", *GROUP_KINDS))):
            unknown = set(table[column]) - set(allowed)
            if unknown:
                mistakes.append(f"column '{column}' holds {listed(sorted(unknown))}; allowed: {listed(allowed[1:])}")
    if mistakes:
        raise Mistakes(f"{where} is no records table:", mistakes)
