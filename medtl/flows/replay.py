"""`medtl train RUN/experiment.yaml --expect RUN`: does this training repeat that run? The first difference is named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from medtl.contracts import VALIDATION
from medtl.errors import GateRefusal
from medtl.flows.run import Run
from medtl.predictions import PLAIN
from medtl.records import KEY
from medtl.terminal import Line

TOLERANCE = 1e-4
"""Of probabilities and figures. One machine with one set of versions repeats bit for bit; other processors add in another order."""
RECORDS = ("sha256", "label", "domain", "split", "fold")
"""What must be equal, image for image. Ids are hashed with the installation's key: of groups only who is together counts."""


def refuse_other_records(rows: pd.DataFrame, expected: Run) -> None:
    """Before any training: raises GateRefusal (exit code 3) where the images, their labels or the split are not those of `expected`.

    `rows`: the records of this training.
    """
    before = expected.records().sort_values(KEY, ignore_index=True)
    now = rows.sort_values(KEY, ignore_index=True)
    if difference := _of_records(now, before):
        raise GateRefusal(f"this does not repeat {expected.folder}: {difference}; nothing was trained")


def verify(run: Run, expected: Run, line: Line) -> None:
    """After it: raises GateRefusal with the first difference among validation answers and figures; else says how equal they are."""
    now, before = (_validation(each) for each in (run, expected))
    difference = _of_predictions(now, before) or next(
        _of_figures(run.metrics()["splits"][VALIDATION], expected.metrics()["splits"][VALIDATION], VALIDATION), ""
    )
    if difference:
        raise GateRefusal(f"{run.folder} does not repeat {expected.folder}: {difference}")
    gap = _largest_gap(now, before)
    how = "to the last bit" if gap == 0 else f"within {gap:.1g} of every probability"
    line.keep(f"repeats {expected.folder}: the same records, {len(now):,} validation answers {how}, the same figures")


def _of_records(now: pd.DataFrame, before: pd.DataFrame) -> str:
    """The first difference in words; empty where there is none."""
    if named := _of_keys(now, before):
        return named
    for column in [*RECORDS, *(column for column in before.columns if column.startswith("y_"))]:
        if (place := _first(now[column].astype(str) != before[column].astype(str))) is not None:
            row = before.iloc[place]
            return f"records: {row['image']} has the {column} '{now[column].iloc[place]}', expected '{row[column]}'"
    together = [pd.factorize(rows["group_id"])[0] for rows in (now, before)]
    if (place := _first(pd.Series(together[0] != together[1]))) is not None:
        return f"records: {before['image'].iloc[place]} is grouped with other images than before"
    return ""


def _of_keys(now: pd.DataFrame, before: pd.DataFrame) -> str:
    """Whether both are about the same images, in the same order."""
    own, other = (list(rows[KEY].itertuples(index=False, name=None)) for rows in (now, before))
    if own == other:
        return ""
    lacking, new = sorted(set(other) - set(own)), sorted(set(own) - set(other))
    what = f"{lacking[0][0]} is not there" if lacking else f"{new[0][0]} is new" if new else "an image stands there twice"
    return f"records: {len(now):,} images, expected {len(before):,}; {what}"


def _of_predictions(now: pd.DataFrame, before: pd.DataFrame) -> str:
    if named := _of_keys(now, before):
        return named.replace("records", "validation answers")
    for column in (name for name in before.columns if name.startswith("p_")):
        if column not in now:
            return f"predictions: there is no column {column}"
        own, other = now[column].to_numpy(float), before[column].to_numpy(float)
        if (place := _first(pd.Series(~np.isclose(own, other, rtol=0, atol=TOLERANCE, equal_nan=True)))) is not None:
            return f"predictions: {column} of {before['image'].iloc[place]} is {own[place]:.6f}, expected {other[place]:.6f}"
    if (place := _first(now["decision"] != before["decision"])) is not None:
        row = before.iloc[place]
        return f"predictions: {row['image']} is called '{now['decision'].iloc[place]}', expected '{row['decision']}'"
    return ""


def _of_figures(now: Any, before: Any, path: str) -> Iterator[str]:
    """Differences of two entries of metrics.json; what only the new one has (a later medtl knows more figures) is none."""
    if isinstance(before, Mapping):
        for key, value in before.items():
            yield from _of_figures(now.get(key) if isinstance(now, Mapping) else None, value, f"{path}.{key}")
    elif isinstance(before, list) and isinstance(now, list) and len(now) == len(before):
        for place, (own, other) in enumerate(zip(now, before, strict=True)):
            yield from _of_figures(own, other, f"{path}[{place}]")
    elif isinstance(before, float) and isinstance(now, int | float):
        if abs(now - before) > TOLERANCE:
            yield f"metrics: {path} is {now:.6f}, expected {before:.6f}"
    elif now != before:
        yield f"metrics: {path} is {now}, expected {before}"


def _validation(run: Run) -> pd.DataFrame:
    table = run.predictions()
    rows = table[(table["split"] == VALIDATION) & (table["view"] == PLAIN)]
    return rows.sort_values([*KEY, "member"], ignore_index=True)


def _largest_gap(now: pd.DataFrame, before: pd.DataFrame) -> float:
    names = [name for name in before.columns if name.startswith("p_")]
    gaps = np.abs(now[names].to_numpy(float) - before[names].to_numpy(float))
    return float(np.nanmax(gaps)) if gaps.size and not np.isnan(gaps).all() else 0.0


def _first(different: pd.Series[bool]) -> int | None:
    """The position of the first True."""
    return int(np.flatnonzero(different.to_numpy())[0]) if different.any() else None
