"""How many labels of a place it takes until `medtl recalibrate` releases a model there, and what that is worth for its other patients.

python benchmarks/labels_to_recalibrate.py MODEL EVALUATION [DRAWS]

EVALUATION: what `medtl evaluate MODEL MANIFEST.csv --out EVALUATION` left, of two classes. For each number of patients so many draws (50)
without replacement; the others judge. Nothing is written, and nothing but these answers is looked at.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medtl import predictions
from medtl.evaluation.cases import Cases, from_table
from medtl.evaluation.mending import mend, too_few
from medtl.evaluation.refit import event_of, part_of, probability_of
from medtl.model import format as package_format

PATIENTS = (50, 100, 200, 300, 400)


def main() -> None:
    task = package_format.read(Path(sys.argv[1])).task
    cases = from_table(predictions.read(Path(sys.argv[2]) / "predictions.csv"), task)
    draws = int(sys.argv[3]) if len(sys.argv) > 3 else 50
    print("patients | too few | released | released: Brier score of the others, as shipped and re-calibrated | worse than shipped")
    for patients in PATIENTS:
        if patients < cases.numbered:
            print(row(cases, patients, draws))


def row(cases: Cases, patients: int, draws: int) -> str:
    few, gains = 0, []
    for seed in range(draws):
        drawn = np.isin(cases.groups, np.random.default_rng(seed).permutation(cases.numbered)[:patients])
        own, others = part_of(cases, drawn), part_of(cases, ~drawn)
        few += bool(too_few(own))
        found = mend(own, seed=seed)
        if found.shown and found.line is not None:
            gains.append((brier(others), brier(found.line.moved(others))))
    told: NDArray[np.float64] = np.array(gains).reshape(-1, 2)
    figures = f"{told[:, 0].mean():.4f}, {told[:, 1].mean():.4f}" if gains else "-"
    return f"{patients} | {few} of {draws} | {len(gains)} of {draws} | {figures} | {int((told[:, 1] > told[:, 0]).sum())}"


def brier(cases: Cases) -> float:
    read = cases.read
    return float(np.mean((probability_of(cases)[read] - event_of(cases)[read]) ** 2))


if __name__ == "__main__":
    main()
