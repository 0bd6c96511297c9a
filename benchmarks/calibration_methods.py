"""Log loss of every way of calibrating, on validation images that took no part in the fit.

    python benchmarks/calibration_methods.py RUN...

Five parts by group, the mean and standard deviation of 20 divisions. Out of a run's saved validation logits; no test image is opened. For
the comparison isotonic curves are allowed from 40 images of either side on.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medtl import predictions
from medtl.decisions import isotonic, methods
from medtl.decisions.settings import unfit

METHODS = ("none", "temperature", "temperature-intercept", "vector", "isotonic")
PARTS, DIVISIONS = 5, 20


def losses(logits: NDArray[np.float64], truth: NDArray[np.int64], groups: NDArray[np.object_], method: str) -> list[float]:
    """The mean log loss of each division."""
    found, member = [], np.unique(groups, return_inverse=True)[1]
    for division in range(DIVISIONS):
        part = (np.random.default_rng(division).permutation(member.max() + 1) % PARTS)[member]
        loss = np.empty(len(truth))
        for own in range(PARTS):
            judged = part == own
            p = methods.fit(logits[~judged], truth[~judged], method).apply(logits[judged])
            loss[judged] = -np.log(p[np.arange(judged.sum()), truth[judged]])
        found.append(float(loss.mean()))
    return found


def main(runs: list[str]) -> None:
    isotonic.FEWEST = 30  # of four parts in five
    for run in runs:
        table = predictions.read(Path(run) / "predictions.csv")
        table = table[(table["split"] == "validation") & (table["truth"] != "")]
        logits, truth = predictions.logits(table), predictions.true_positions(table)
        for method in METHODS:
            if not unfit(method, logits.shape[1], several=False):
                each = losses(logits, truth, table["group_id"].to_numpy(), method)
                print(f"{run}  {np.bincount(truth).tolist()}  {method}: {np.mean(each):.4f} ± {np.std(each):.4f}")


if __name__ == "__main__":
    main(sys.argv[1:])
