"""The figures of an answer that is no model's, to stand beside the model's: AUROC and accuracy of shares of votes.

`baselines.json` in the folder of a run or evaluation holds them: split -> name -> figures, or the `reason` why there are none.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medtl import own_json
from medtl.contracts import FORMAT
from medtl.evaluation.cases import UNREAD, Cases
from medtl.evaluation.figures import NO_CASES, ONE_GROUP, Estimate, estimate, share_of, without
from medtl.evaluation.side import area, mean_of
from medtl.files import write_json

FILE = "baselines.json"
Floats = NDArray[np.float64]


def figures(shares: Floats, truth: Floats, groups: NDArray[np.int64], positive: int | None) -> dict[str, Estimate]:
    """`shares` (N, K), NaN rows where an image was not read; `truth` (N, K) 1, 0 or NaN for unknown; `groups` (N,) 0 … G-1.

    AUROC: of the positive class alone, else the mean over the columns that have both sides, with an analytic interval. Accuracy only where
    each image has one class (of several findings, whose rows do not sum to 1, it is not there).
    """
    judged = [positive] if positive is not None else list(range(truth.shape[1]))
    areas = [area(cases, 1) for index in judged if (cases := _one(shares, truth, groups, index)) is not None]
    single = bool(len(truth)) and bool((np.nan_to_num(truth).sum(axis=1) == 1).all()) and not np.isnan(truth).any()
    right = np.argmax(np.nan_to_num(shares, nan=-1.0), axis=1) == np.argmax(np.nan_to_num(truth), axis=1)
    right &= np.isfinite(shares).all(axis=1)
    found = {"auroc": without(NO_CASES)}
    if areas and len(np.unique(groups)) > 1:
        mean = mean_of(areas)
        found["auroc"] = estimate(mean.value, mean.interval)
    elif areas:
        found["auroc"] = estimate(float(np.mean([each.value for each in areas])), None, ONE_GROUP)
    return {**found, "accuracy": share_of(right, np.ones(len(right), dtype=bool), groups)} if single else found


def write(folder: Path, split: str, baselines: Mapping[str, Any]) -> None:
    """Write one split's baselines; those of others stay."""
    write_json(folder / FILE, {"format": FORMAT, "splits": {**read(folder), split: dict(baselines)}})


def read(folder: Path) -> dict[str, Any]:
    """Split -> its baselines; nothing where there is no file. Raises MedtlError where it is damaged or of a newer format."""
    path, mend = folder / FILE, "delete it: `medtl evaluate` writes it again"
    content = own_json.read(path, mend)
    with own_json.whole(path, mend):
        return {} if content is None else dict(content["splits"])


def _one(shares: Floats, truth: Floats, groups: NDArray[np.int64], index: int) -> Cases | None:
    """One column as two classes; None where the images read have one side only."""
    known = np.isfinite(truth[:, index]) & np.isfinite(shares).all(axis=1)
    of_it, p = truth[known, index].astype(np.int64), shares[known, index]
    if len(np.unique(of_it)) < 2:
        return None
    called = np.full(len(p), UNREAD)
    return Cases(("", ""), 1, of_it, called, np.column_stack([1 - p, p]), groups[known], 0, int(groups.max()) + 1)
