"""Records with what was measured of each image, and the values of one column in a form that statistics can use."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.contracts import EXCLUDED
from medtl.records import KEY
from medtl.records import kept_columns as of_records

IDS = ("study_id", "lesion_id")
"""Joined to records for the search for leaks; they identify, and so tell everything."""
MEASURED_FROM = 7
"""A column of numbers with so many different ones is a measurement, with fewer a code."""
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def joined(records: pd.DataFrame, measurements: pd.DataFrame) -> pd.DataFrame:
    """The rows of `records` in their order, with the columns of `measurements`; where both have one (`view` …), the record's
    value unless it is empty. An image that was not measured has empty text and NaN. The index is 0 … N-1."""
    rows = records.reset_index(drop=True)
    measured = rows[KEY].merge(measurements.drop_duplicates(KEY), on=KEY, how="left")
    for column in measurements.columns.difference(KEY, sort=False):
        values = measured[column] if measured[column].dtype.kind == "f" else measured[column].fillna("").astype(str)
        if column in rows.columns:
            own = rows[column].fillna("").astype(str)
            values = own.where(own != "", values.astype(str))
        rows[column] = values
    return rows


def in_use(rows: pd.DataFrame) -> NDArray[np.bool_]:
    """(N,) labelled, not excluded, readable."""
    used = (rows["label"] != "") & (rows["split"] != EXCLUDED)
    return np.asarray(used & (rows["quarantine"] == "") if "quarantine" in rows.columns else used, dtype=bool)


def kept_columns(records: pd.DataFrame) -> list[str]:
    """The columns that came by `keep`: age, sex, site, `dx_type` …"""
    return [column for column in of_records(records) if column not in IDS]


def groups_of(rows: pd.DataFrame) -> NDArray[np.int64]:
    """(N,) 0 … G-1: the group of each row; a row without a group is one of its own."""
    ids = [group or f"{image}#{frame}" for group, image, frame in zip(rows["group_id"], rows["image"], rows["frame"], strict=True)]
    return np.asarray(pd.factorize(pd.Series(ids, dtype=str), sort=True)[0], dtype=np.int64)


def numbers_of(values: pd.Series) -> NDArray[np.float64] | None:
    """(N,) numbers, or days of ISO dates, NaN where unknown; None where the column holds words, or few enough numbers to be codes."""
    if values.dtype.kind in "fiu":
        return np.asarray(values, dtype=np.float64)
    known = values[values != ""].astype(str)
    if len(known) and known.str.fullmatch(_DATE).all():
        days = pd.to_datetime(values.where(values != "", None), errors="coerce", format="%Y-%m-%d")
        return np.asarray((days - pd.Timestamp(1970, 1, 1)).dt.days, dtype=np.float64)
    parsed = pd.to_numeric(values.where(values != "", None), errors="coerce")
    if not len(known) or parsed.count() < len(known) or parsed.nunique() < MEASURED_FROM:
        return None
    return np.asarray(parsed, dtype=np.float64)


def keys_of(rows: pd.DataFrame) -> list[tuple[str, int]]:
    """(image, frame) of each row."""
    return [(str(image), int(frame)) for image, frame in zip(rows["image"], rows["frame"], strict=True)]
