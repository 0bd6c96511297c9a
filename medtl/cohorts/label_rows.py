"""What csv and DICOM cohorts do alike with the rows of a label table: open it, look for columns, settle several rows of one study."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from medtl import findings
from medtl.cohorts import CohortSettings
from medtl.cohorts.files import inside_root
from medtl.cohorts.findings import class_columns
from medtl.cohorts.ids import no_column
from medtl.cohorts.settings import TableSettings
from medtl.cohorts.source_table import SourceTable, counted, rows_listed
from medtl.cohorts.tables import LabelTable, read_table
from medtl.contracts import Task
from medtl.errors import MedtlError, listed
from medtl.records import KEY


def open_table(settings: TableSettings, root: Path) -> LabelTable:
    """The cohort's label table. Raises MedtlError."""
    file = inside_root(root, settings.folder, settings.table)
    if file is None:
        raise MedtlError(f"table: '{settings.table}' lies outside the data root")
    if not (root / file).is_file():
        raise MedtlError(f"table: there is no file '{file}' in the data root {root} (--data says where the root is)")
    return read_table(root / file, settings.separator, settings.encoding, settings.sheet)


def missing_columns(cells: pd.DataFrame, asked: dict[str, str | None]) -> list[str]:
    """A message for each setting → column that the table does not have."""
    return [no_column(setting, column, cells) for setting, column in asked.items() if column is not None and column not in cells.columns]


def without_uncertain(spelling: pd.Series[str], uncertain: Iterable[str]) -> pd.Series[str]:
    """Labels that mean "not known" become empty; `-1.0` is `-1`, as for every label."""
    plain = spelling.str.replace(r"^([+-]?\d+)\.0+$", r"\1", regex=True)
    return spelling.mask(spelling.isin(list(uncertain)) | plain.isin(list(uncertain)), "")


def label_columns(settings: TableSettings, cells: pd.DataFrame, task: Task | None) -> tuple[dict[str, str], list[str]]:
    """Column of :class:`SourceTable` → column of `cells` that holds its labels, and what is wrong with that.

    `spelling` for one column of labels; `y_<class>` where several findings (`task`, else None) have columns of their own. Labels that
    are hidden need no column.
    """
    if settings.labels == "hidden":
        return {}, []
    if task is None or settings.label in cells.columns or settings.label != TableSettings.model_fields["label"].default:
        return {"spelling": settings.label}, missing_columns(cells, {"label": settings.label})
    found, mistakes = class_columns(task, cells.columns)
    return {findings.PREFIX + name: column for name, column in found.items()}, mistakes


def view_needed(settings: CohortSettings) -> list[str]:
    """The column that `rows: frontal` goes by: the one that `view` names, else the header's."""
    return [settings.view or "view"] if isinstance(settings, TableSettings) and settings.rows == "frontal" else []


def settle_rows(source: SourceTable, settings: TableSettings) -> None:
    """Apply `rows`: one image in several rows, several images of one study.

    Rows of one image must agree in all that is taken from them (label, ids, given split, kept columns); they count once. A study
    with several images is refused, keeps its frontal images, or keeps all.
    """
    table = source.table
    for view in view_needed(settings):
        if view not in table.columns:
            source.mistakes.append("rows: frontal needs the column of the view (`view:`), for no image has a header that says it")
            return
        frontal = table[view].str.strip().str.upper().isin([name.upper() for name in settings.frontal])
        source.notes.append(f"{counted(int((~frontal).sum()), 'image')} that are not frontal left out")
        table = table[frontal]
    repeated = table.duplicated(KEY, keep=False)
    different = table.drop_duplicates([column for column in table.columns if column != "where"])
    torn = table.merge(different.loc[different.duplicated(KEY), KEY].drop_duplicates(), on=KEY)
    if len(torn):
        values = torn.drop(columns="where").groupby(KEY).nunique()
        columns = listed(
            "label" if column == "spelling" else column.removeprefix(findings.PREFIX) for column in values.columns[(values > 1).any()]
        )
        source.mistakes.append(f"{counted(len(torn), 'row')} of one image disagree in {columns}: {rows_listed(torn)}")
    elif repeated.any() and settings.rows == "refuse":
        rows = table[repeated]
        source.mistakes.append(f"{counted(len(rows), 'row')} name an image again: {rows_listed(rows)}; `rows: all` takes each image once")
    elif repeated.any():
        source.notes.append(f"{counted(int(table.duplicated(KEY).sum()), 'further row')} of the same image left out")
    table = table.drop_duplicates(KEY)
    several = table[(table["study"] != "") & table.duplicated("study", keep=False)]
    if len(several) and settings.rows == "refuse":
        studies = counted(several["study"].nunique(), "study has", "studies have")
        source.mistakes.append(f"{studies} several images: {rows_listed(several)}; say `rows: frontal` or `rows: all`")
    source.table = table
