"""How far one gets without looking at the picture: brightness alone and size of the file alone, on the images that a model is judged on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from medtl.audit.joined import groups_of, in_use, joined
from medtl.audit.properties import MEASURED
from medtl.audit.telling import Told, told, told_of_others
from medtl.contracts import TRAIN

TRIED = ("BRIGHTNESS", "BYTES")
"""Of the properties that the audit tries; the others are in its section."""


def alone(records: pd.DataFrame, measurements: pd.DataFrame, split: str) -> dict[str, dict[str, Any]]:
    """What was tried → its AUROC as metrics.json writes an estimate (of several classes the mean, against the rest); what does not vary, or
    classes of fewer than ten groups, are not there.

    Learned on training images and judged on those of `split`; where there are none of both (folds, outside images), out of fold over all.
    One label per image.
    """
    rows = joined(records, measurements)
    rows = rows[in_use(rows)].reset_index(drop=True)
    apart = bool((rows["split"] == TRAIN).any() and (rows["split"] == split).any())
    if apart:
        rows = rows[rows["split"].isin([TRAIN, split])].reset_index(drop=True)
    groups, seen = groups_of(rows), np.asarray(rows["split"] == TRAIN, dtype=bool)
    found = {}
    for each in MEASURED:
        if each.name in TRIED:
            columns = rows[list(each.columns)]
            answer = told_of_others(columns, rows["label"], groups, seen) if apart else told(columns, rows["label"], groups)
            if answer is not None:
                found[each.words] = _estimate(answer)
    return found


def _estimate(found: Told) -> dict[str, Any]:
    return {"value": found.value, "low": found.interval.low, "high": found.interval.high}
