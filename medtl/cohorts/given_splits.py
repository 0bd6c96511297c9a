"""Splits that come from outside: a column of the table, the folders above the classes, or an earlier run."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from medtl import records
from medtl.cohorts.settings import SplitSettings
from medtl.contracts import CALIBRATION, EXCLUDED, EXTERNAL, TEST, TRAIN, VALIDATION
from medtl.errors import MedtlError, Mistakes, listed

SPLIT_COLUMN = "split"
"""The column that a cohort without a table offers where its images lie in given parts."""
SPELLINGS = {
    **dict.fromkeys((TRAIN, "training"), TRAIN),
    **dict.fromkeys((VALIDATION, "val", "valid", "dev"), VALIDATION),
    **dict.fromkeys((TEST, "testing"), TEST),
    EXTERNAL: EXTERNAL,
    EXCLUDED: EXCLUDED,
    "": "",
}
"""How a given split may be written, in lower case."""
_LATER_WINS = (EXCLUDED, TRAIN, VALIDATION)
"""With `overlap: exclude`, rows leave these splits where their group also stands in a later one."""


def take_column(rows: pd.DataFrame, chance: pd.Series[float], settings: SplitSettings, as_given: bool = False) -> pd.Series[str]:
    """(N,) splits as `given_split` says; no row given means excluded; without validation rows, a share of train's groups becomes them.

    `chance`: (N,) uniform draws, equal within a group. Raises :class:`Mistakes` where a group stands in two splits and
    `overlap` is `refuse`; `as_given`, it is left standing there.
    """
    split = rows["given_split"].replace("", EXCLUDED).copy()
    torn = _in_two_splits(rows, split)
    if len(torn) and settings.overlap == "refuse" and not as_given:
        raise Mistakes(
            f"split.column '{settings.column}': groups stand in two splits (one {settings.by}, or one picture); "
            "mend the table, or say `overlap: exclude` to take them out of training:",
            _described(torn, split),
        )
    for earlier in _LATER_WINS[1:] if settings.overlap == "exclude" else ():
        later = split.index[~split.isin(_LATER_WINS[: _LATER_WINS.index(earlier) + 1])]
        split[(split == earlier) & rows["component"].isin(rows.loc[later, "component"])] = EXCLUDED
    if not (split == VALIDATION).any():
        split[(split == TRAIN) & (chance < settings.validation)] = VALIDATION
    return split


def take_run(rows: pd.DataFrame, fallen: pd.Series[str], run: Path) -> pd.Series[str]:
    """(N,) splits as in the run's records, image by image and group by group; groups that it does not know keep `fallen`."""
    file = run / "records.csv"
    if not file.is_file():
        raise MedtlError(f"split.from: '{run}' is no run folder: it has no records.csv")
    old = records.read(file)
    if (old["fold"] != "").any() and not (old["split"] == TRAIN).any():
        raise MedtlError(f"split.from: '{run}' has folds and no split of its own; name one of its folds, such as {run / 'folds' / '0'}")
    old = old[old["split"].isin([TRAIN, VALIDATION, CALIBRATION, TEST])]
    by_file, by_group = (_lookup(old[old[key] != ""], key, run) for key in ("sha256", "group_id"))
    known = rows["sha256"].map(by_file).fillna(rows["group_id"].map(by_group)).fillna("")
    torn = _in_two_splits(rows[known != ""], known)
    if len(torn):
        raise Mistakes(f"split.from '{run}': new images tie together groups that stood in two of its splits:", _described(torn, known))
    group = pd.Series(known[known != ""].to_numpy(), index=rows.loc[known != "", "component"].to_numpy())
    return rows["component"].map(group[~group.index.duplicated()]).fillna(fallen)


def _lookup(old: pd.DataFrame, key: str, run: Path) -> pd.Series[str]:
    torn = old.groupby(key)["split"].nunique()
    if (torn > 1).any():
        raise MedtlError(f"split.from: in '{run}' {int((torn > 1).sum()):,} values of {key} stand in two splits; it cannot be taken over")
    return old.drop_duplicates(key).set_index(key)["split"]


def _in_two_splits(rows: pd.DataFrame, split: pd.Series[str]) -> pd.DataFrame:
    used = rows[split[rows.index] != EXCLUDED]
    splits = split[used.index].groupby(used["component"]).nunique()
    return used[used["component"].isin(splits.index[splits > 1])]


def _described(torn: pd.DataFrame, split: pd.Series[str], most: int = 20) -> list[str]:
    """One line a group: its images and where each stands."""
    groups = [rows for _, rows in torn.groupby("component")]
    lines = []
    for rows in groups[:most]:
        places = zip(rows["image"], rows["frame"], split[rows.index], strict=True)
        lines.append(listed((f"{image}{f'[{frame}]' if '.npz/' in image else ''} ({name})" for image, frame, name in places), most=10))
    return [*lines, f"… and {len(groups) - most:,} more groups"] if len(groups) > most else lines
