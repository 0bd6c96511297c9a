"""What was said of outside images without their labels, beside what the labels say: a part of an external validation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.errors import MedtlError
from medtl.estimates import number
from medtl.files import write_json
from medtl.flows.judging import unit_of
from medtl.flows.shift import FILE, held_against, said
from medtl.imaging.store import Store
from medtl.model.model import Model
from medtl.shift import source as kept
from medtl.shift.accuracy import METHODS
from medtl.shift.examine import MOST_ROWS, Shift
from medtl.terminal import Line


def beside_the_truth(
    model: Model, rows: pd.DataFrame, store: Store, positions: NDArray[np.intp], metrics: Mapping[str, Any], folder: Path, line: Line
) -> list[str]:
    """Write shift.json of the judged `rows`, whose images stand at `positions`, with the truth in it; the same as sentences.

    Empty where the package remembers nothing of its source (:mod:`medtl.shift.source`), or there are too few patients. The labels are
    looked at after all else is said. Of very many images, some whole groups.
    """
    try:
        source = kept.read(model.folder, model.fingerprint)
    except MedtlError as refused:  # the figures of the evaluation stand without it
        return [str(refused)]
    usable = np.asarray(store.usable)[positions]
    groups = rows["group_id"].to_numpy()[usable]
    order = pd.Series(np.unique(groups)).sample(frac=1, random_state=0)
    sizes = pd.Series(groups).value_counts()[order].cumsum()
    own = np.flatnonzero(usable & rows["group_id"].isin(sizes.index[sizes <= MOST_ROWS]).to_numpy())
    found = held_against(model, source, rows.iloc[own], store, positions[own], line) if source is not None and len(own) else None
    if source is None or found is None:
        return []
    truth = _truth(found, rows.iloc[own], metrics)
    write_json(folder / FILE, {**said(model, source, found, unit_of(rows)), "images": len(own), "truth": truth})
    line.clear()
    return _sentences(found, truth)


def _truth(found: Shift, rows: pd.DataFrame, metrics: Mapping[str, Any]) -> dict[str, Any]:
    shares = rows["label"].value_counts(normalize=True)
    accuracy = metrics.get("accuracy", {}).get("value")
    return {"accuracy": accuracy, "shares": {name: float(shares.get(name, 0.0)) for name in found.classes}}


def _sentences(found: Shift, truth: Mapping[str, Any]) -> list[str]:
    told = [f"Without these labels it would have been said: {found.verdict}."]
    if truth["accuracy"] is not None:
        told += [
            f"Accuracy by {METHODS[each.method]} {number(each.value)}{', not to be believed' if each.beyond else ''}; "
            f"in truth {number(truth['accuracy'])}."
            for each in found.accuracy
        ]
    for shares in found.shares:
        k = len(found.classes) - 1
        inside = f"{number(shares.value[k])} ({number(shares.low[k])} to {number(shares.high[k])})"
        told.append(f"Share of {found.classes[k]} by {shares.method} {inside}; in truth {number(truth['shares'][found.classes[k]])}.")
    return told
