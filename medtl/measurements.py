"""The measurements table: one row per image, made while reading. The audit, the quarantine and grouping by pixels use it.

Columns (`(image, frame)` joins it with records; empty = unknown or unread):

- `image`, `frame`, `sha256` (of the file's bytes; of the array slice for NPZ), `format` (PNG, JPEG, DICOM, NIfTI, NPZ …).
- `pixel_hash`: SHA-256 of the decoded upright pixels at 16 bits, so that one picture in two containers agrees;
  `phash`: 64-bit perceptual hash (16 hex digits; near pictures differ in few bits).
- `height`, `width` in pixels, upright; `bytes` of the file (of the slice for NPZ).
- `brightness`: mean, `contrast`: standard deviation, `border`: mean of the outermost ring, all of the luminance in [0, 1];
  `padding_share`: share of the area in uniform bands at the edges, in [0, 1].
- `corner_top_left` …: mean luminance of each corner square (a fifth of the shorter side); `corner_top_left_marks` …: the share of it
  that small structures cover which stand out of their surroundings (side markers, text, hairs), or that has another colour than the
  picture (ink, stickers); `letters`: how many bright spots of the whole picture stand in rows as burnt-in characters do.
- `saturated_share`, `black_share`: share of the pixels at the top and at the bottom of the range; `blank_share`: share of the area
  without any detail; `sharpness`: mean absolute difference of neighbouring pixels. All in [0, 1].
- header facts that are no patient data: `modality`, `body_part`, `view`, `laterality`, `spacing` (mm, "row column"), `spacing_from` (the
  header field that gave it), `device` (maker and model), `bits`, `photometric`. Age, sex, site and date enter records by `keep` only.
- `encoding`: how the bytes were compressed, as far as the format tells: `JPEG 4:2:0 quality 90`, a DICOM transfer syntax …
- `receipt`: JSON, how the pixels were read.
- `quarantine`: a code of :class:`medtl.errors.ImageError`, empty for usable images; `reason`: in words.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from medtl.errors import Mistakes, listed

KEY = ["image", "frame"]
AGE = "age"
"""In a row, in years, for the scope to be judged by; in no table and no file of measurements."""
CORNERS = ["corner_top_left", "corner_top_right", "corner_bottom_left", "corner_bottom_right"]
CORNER_MARKS = [f"{corner}_marks" for corner in CORNERS]
_LATER_NUMBERS = [*CORNERS, *CORNER_MARKS, "saturated_share", "black_share", "blank_share", "sharpness", "letters"]
NUMBERS = ["height", "width", "bytes", "brightness", "contrast", "border", "padding_share", *_LATER_NUMBERS]
_LATER_TEXT = ["spacing_from", "device", "encoding"]
FACTS = ["modality", "body_part", "view", "laterality", "spacing", "spacing_from", "device"]
COLUMNS = [
    *KEY, "sha256", "pixel_hash", "phash", *NUMBERS, "format", "encoding", *FACTS, "bits", "photometric",
    "receipt", "quarantine", "reason",
]  # fmt: skip


def row(values: Mapping[str, object]) -> dict[str, object]:
    """All columns but the key, and :data:`AGE`: `values` where given, NaN for unknown numbers, empty text for the rest."""
    return {column: values.get(column, np.nan if column in NUMBERS else "") for column in (*COLUMNS, AGE) if column not in KEY}


def table(rows: list[dict[str, object]]) -> pd.DataFrame:
    """A measurements table out of rows that hold every column; numbers become float64, the rest strings."""
    frame = pd.DataFrame(rows, columns=COLUMNS)
    text = [column for column in COLUMNS if column not in (*NUMBERS, "frame")]
    frame[text] = frame[text].astype(str)
    frame[NUMBERS] = frame[NUMBERS].astype(np.float64)
    frame["frame"] = frame["frame"].astype(np.int64)
    return frame


def read(path: Path) -> pd.DataFrame:
    """Read a table as written by :func:`write`: numbers float64 (NaN = unknown), `frame` int, everything else strings.

    In a table of an earlier version, what was not measured then is unknown.
    """
    frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    frame = frame.assign(**{column: "" for column in (*_LATER_NUMBERS, *_LATER_TEXT) if column not in frame.columns})
    check(frame, str(path))
    frame["frame"] = frame["frame"].astype(np.int64)
    for column in NUMBERS:
        frame[column] = pd.to_numeric(frame[column].replace("", np.nan)).astype(np.float64)
    return frame


def write(frame: pd.DataFrame, path: Path) -> None:
    """Write in the documented column order, rows sorted by key, so that equal tables are equal files."""
    check(frame, str(path))
    frame.sort_values(KEY)[COLUMNS].to_csv(path, index=False, encoding="utf-8", lineterminator="\n")


def check(frame: pd.DataFrame, where: str) -> None:
    """Raise :class:`Mistakes` where `frame` is no measurements table: columns missing or the key repeated."""
    mistakes = [f"column '{column}' is missing" for column in COLUMNS if column not in frame.columns]
    if not mistakes:
        repeated = frame[frame.duplicated(KEY)]
        if len(repeated):
            mistakes.append(f"{len(repeated)} rows repeat an (image, frame): {listed(repeated['image'].unique())}")
    if mistakes:
        raise Mistakes(f"{where} is no measurements table:", mistakes)
