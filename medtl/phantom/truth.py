"""What is where in the made images: the table `truth.csv`, a row per finding (one empty row for an image without).

Places are in pixels of the upright image as it is stored (x to the right, y downward, the middle of the first pixel is 0, 0).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.errors import MedtlError

FILE = "truth.csv"
COLUMNS = [
    "image", "rows", "columns", "patient_id", "lesion_id", "hospital", "truth", "label", "finding", "x", "y", "a", "b", "angle",
    "left", "top", "right", "bottom", "strength", "asymmetry", "border", "variegation", "marker", "faults",
]  # fmt: skip
"""`truth`: the class in the picture; `label`: what the table says. `finding`: `opacity` or `lesion`, empty for none; `x, y` its middle,
`a, b` half axes, `angle` in degrees of `a` from x towards y; `left … bottom`: the box around it. `strength` of an opacity: share of
the air that fluid replaces; of a lesion: the setting `contrast`. `faults`: those planted in this image, joined by `|`."""
_NUMBERS = ["x", "y", "a", "b", "angle", "left", "top", "right", "bottom", "strength", "asymmetry", "border", "variegation"]


@dataclass(frozen=True)
class Place:
    """An ellipse around a finding, in pixels and degrees."""

    finding: str
    x: float
    y: float
    a: float
    b: float
    angle: float
    strength: float

    def radius2(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """(H, W) squared distance from the middle where the rim is at 1."""
        y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
        turn = np.deg2rad(self.angle)
        along = (x - self.x) * np.cos(turn) + (y - self.y) * np.sin(turn)
        aside = (y - self.y) * np.cos(turn) - (x - self.x) * np.sin(turn)
        return np.asarray((along / self.a) ** 2 + (aside / self.b) ** 2, np.float32)

    def box(self, shape: tuple[int, ...]) -> tuple[float, float, float, float]:
        """Left, top, right, bottom within the image."""
        turn = np.deg2rad(self.angle)
        wide, high = np.hypot(self.a * np.cos(turn), self.b * np.sin(turn)), np.hypot(self.a * np.sin(turn), self.b * np.cos(turn))
        left, right = np.clip([self.x - wide, self.x + wide], 0, shape[1] - 1)
        top, bottom = np.clip([self.y - high, self.y + high], 0, shape[0] - 1)
        return float(left), float(top), float(right), float(bottom)


def read_truth(folder: Path) -> pd.DataFrame:
    """The truth table of a phantom's folder: places and strengths as floats (NaN where there is none), the rest as strings.

    `image` is relative to `folder`, as in the manifest beside it. Raises MedtlError where the folder holds no phantom.
    """
    file = Path(folder) / FILE
    if not file.is_file():
        raise MedtlError(f"'{folder}' is no folder of a phantom: it has no {FILE}")
    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    numbers = {name: pd.to_numeric(table[name], errors="coerce") for name in _NUMBERS}
    return table.assign(**numbers, rows=table["rows"].astype(int), columns=table["columns"].astype(int))


def finding_mask(rows: pd.DataFrame) -> NDArray[np.bool_]:
    """(H, W) where the findings of one image are; `rows`: its rows of the truth table, such as `truth[truth["image"] == image]`."""
    shape = int(rows["rows"].iloc[0]), int(rows["columns"].iloc[0])
    inside = np.zeros(shape, dtype=bool)
    for row in rows[rows["finding"] != ""].itertuples():
        inside |= Place("", *(float(getattr(row, name)) for name in ("x", "y", "a", "b", "angle", "strength"))).radius2(shape) <= 1
    return inside
