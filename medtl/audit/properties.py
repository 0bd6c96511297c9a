"""The properties of an image that are not the picture: what was measured of file, frame and grey levels, and the kept columns."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from medtl.audit.joined import kept_columns, numbers_of
from medtl.measurements import CORNER_MARKS, CORNERS

Kind = Literal["mark", "file", "picture", "patient", "table"]
"""`mark`: how it was taken, labelled, exported, where no illness has a part; `file`: cropping and size of the file, where contents play in;
`picture`: grey levels, which illness may change; `patient`: age, sex: true of the patients, but not in the picture; `table`: any other kept
column (site, reference standard …)."""

_PATIENT = {"age", "sex", "gender", "localization", "localisation", "location", "ethnicity", "race"}


@dataclass(frozen=True)
class Property:
    """One thing that might tell the label: the columns that say it, tried together."""

    name: str
    """Of the code: TELLTALE_<NAME>."""
    words: str
    columns: tuple[str, ...]
    kind: Kind

    @property
    def code(self) -> str:
        return f"TELLTALE_{self.name}"


MEASURED = (
    Property("BYTES", "the size of the file in bytes", ("bytes",), "file"),
    Property("DIMENSIONS", "the image's height and width", ("height", "width", "aspect"), "mark"),
    Property("ENCODER", "how the file is encoded", ("format", "encoding", "bits", "photometric", "reading"), "mark"),
    Property("BORDER", "border and padding", ("border", "padding_share", "blank_share"), "file"),
    Property("CORNERS", "the four corners (letters, ink and other marks)", (*CORNERS, *CORNER_MARKS, "most_marks"), "mark"),
    Property("LETTERS", "burnt-in letters", ("letters",), "mark"),
    Property("BRIGHTNESS", "brightness and contrast", ("brightness", "contrast"), "picture"),
    Property("EXTREMES", "the shares of black and of saturated pixels", ("black_share", "saturated_share"), "picture"),
    Property("SHARPNESS", "sharpness", ("sharpness",), "picture"),
    Property("SPACING", "the pixel spacing", ("spacing", "spacing_from"), "mark"),
    Property("DEVICE", "the device", ("device",), "mark"),
    Property("MODALITY", "the modality", ("modality",), "mark"),
    Property("BODY_PART", "the body part of the header", ("body_part",), "mark"),
    Property("VIEW", "the view", ("view",), "mark"),
    Property("LATERALITY", "the side of the body", ("laterality",), "mark"),
    Property("DOMAIN", "the domain", ("domain",), "mark"),
)  # fmt: skip


def with_derived(rows: pd.DataFrame) -> pd.DataFrame:
    """`rows` (joined) with `aspect` (width / height), `most_marks` (of the four corners) and `reading` (from the receipt)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        aspect = rows["width"] / rows["height"]
    marks = rows[[column for column in CORNER_MARKS if column in rows.columns]].max(axis=1)
    return rows.assign(aspect=aspect, most_marks=marks, reading=[_reading(text) for text in rows["receipt"]])


def _reading(receipt: str) -> str:
    """What decided grey levels and polarity, without its numbers: `window LINEAR`, `minimum … maximum, inverted`."""
    facts = json.loads(receipt) if receipt else {}
    said = re.sub(r"-?\d+(?:\.\d+)?", "#", str(facts.get("intensity", "")))
    return said + (", inverted" if facts.get("inverted") else "") + (f", {facts['orientation']}" if "orientation" in facts else "")


def properties_of(records: pd.DataFrame, rows: pd.DataFrame) -> Iterator[Property]:
    """Those measured, then the kept columns of `records` that are none of them and no ids; `rows`: joined, with what is derived."""
    for each in MEASURED:
        present = tuple(column for column in each.columns if column in rows.columns)
        if present:
            yield Property(each.name, each.words, present, each.kind)
    taken = {column for each in MEASURED for column in each.columns}
    for column in kept_columns(records):
        values = rows[column]
        identifies = numbers_of(values) is None and values[values != ""].nunique() > max(50, len(rows) / 4)
        if column not in taken and not identifies and not column.startswith("y_"):
            name = re.sub(r"\W+", "_", column).upper()
            yield Property(name, f"the column '{column}'", (column,), "patient" if column.lower() in _PATIENT else "table")
