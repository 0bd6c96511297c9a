"""Corrections of a split as tables: images to leave out (`split.exclude`), images that belong together (`split.groups`).

The audit writes them (`exclude.csv`, `groups.csv`); they may as well be written by hand. `image` is relative to the data root, as in
records; `frame` may be left out where every file holds one image.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from medtl.cohorts.grouping import TIED
from medtl.cohorts.settings import SplitSettings
from medtl.cohorts.source_table import counted
from medtl.cohorts.tables import read_table
from medtl.errors import MedtlError, listed
from medtl.records import KEY

COLUMNS = ("left_out", TIED)
"""Transient columns: whether `split.exclude` names the image, and which group of `split.groups` it is in (empty = none)."""


def corrected(table: pd.DataFrame, settings: SplitSettings, root: Path) -> tuple[pd.DataFrame, list[str]]:
    """`table` (image, frame …) with the columns :data:`COLUMNS`, and what was corrected, counted.

    Raises MedtlError where a file is missing, lacks a column, or names no image of the table at all (another data root).
    """
    table, notes = table.assign(left_out=False, **{TIED: ""}), []
    if settings.exclude is not None:
        rows, unknown = _rows("exclude", settings.exclude, root, table, needed=["image"])
        table["left_out"] = pd.MultiIndex.from_frame(table[KEY]).isin(pd.MultiIndex.from_frame(rows[KEY]))
        notes.append(f"split.exclude leaves {counted(int(table['left_out'].sum()), 'image')} out{unknown}")
    if settings.groups is not None:
        rows, unknown = _rows("groups", settings.groups, root, table, needed=["image", "group"])
        ties = rows.set_index(KEY)["group"]
        if ties.index.has_duplicates:
            repeated = rows.loc[rows.duplicated(KEY), "image"]
            raise MedtlError(f"split.groups: '{settings.groups}' names {counted(len(repeated), 'image')} twice: {listed(repeated)}")
        table[TIED] = ties.reindex(pd.MultiIndex.from_frame(table[KEY])).fillna("").to_numpy()
        tied = table.loc[table[TIED] != "", TIED]
        notes.append(f"split.groups ties {counted(len(tied), 'image')} into {counted(tied.nunique(), 'group')}{unknown}")
    return table, notes


def _rows(setting: str, file: str, root: Path, table: pd.DataFrame, needed: list[str]) -> tuple[pd.DataFrame, str]:
    """The rows that name an image of `table`, and a remark about those that do not."""
    path = root / file
    if not path.is_file():
        raise MedtlError(f"split.{setting}: there is no table '{file}' in the data root {root}; `medtl audit` writes one")
    rows = read_table(path).cells
    missing = [column for column in needed if column not in rows.columns]
    if missing:
        raise MedtlError(f"split.{setting}: '{file}' has no column {listed(missing)}; it has: {listed(rows.columns)}")
    frames = pd.to_numeric(rows["frame"].replace("", "0"), errors="coerce") if "frame" in rows.columns else pd.Series(0, index=rows.index)
    if frames.isna().any():
        raise MedtlError(f"split.{setting}: '{file}': {int(frames.isna().sum())} rows have a frame that is no whole number")
    rows = rows.assign(frame=frames.astype(int))
    known = pd.MultiIndex.from_frame(rows[KEY]).isin(pd.MultiIndex.from_frame(table[KEY]))
    if not known.any():
        raise MedtlError(
            f"split.{setting}: none of the {counted(len(rows), 'row')} of '{file}' names an image of the cohorts "
            f"({listed(rows['image'], 3)}); images are named as in records.csv, relative to the data root"
        )
    return rows[known], f" ({counted(int((~known).sum()), 'row')} of '{file}' name no image of the cohorts)" if not known.all() else ""
