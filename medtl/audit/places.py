"""Where an image stands: its split, or its fold where every image is tested once. What stands nowhere cannot leak."""

from __future__ import annotations

import pandas as pd

from medtl.contracts import EXCLUDED


def places(records: pd.DataFrame) -> pd.Series[str]:
    """(N,) `train`, `validation`, `test`, `external`; `fold 0` … where folds are still to become splits; empty for excluded images."""
    split, fold = records["split"].astype(str), records["fold"].astype(str)
    placed = split.where(split != EXCLUDED, "")
    return placed.where((split != "") | (fold == ""), "fold " + fold)


def place_of(records: pd.DataFrame) -> str:
    """What the places are called in a sentence: splits or folds."""
    return "folds" if ((records["split"] == "") & (records["fold"] != "")).any() else "splits"
