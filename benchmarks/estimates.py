"""How long all estimates of one table take: 2,000 resamples of 10,000 rows × 7 classes, by patient.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/estimates.py

Prints seconds of one processor (`time.process_time`), the least of three.
"""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
from scipy.special import softmax

from medtl.contracts import Task
from medtl.evaluation.resampling import RESAMPLES
from medtl.evaluation.summary import summarize

ROWS, PREVALENCE = 10_000, (0.66, 0.11, 0.11, 0.05, 0.04, 0.02, 0.01)
NAMES = tuple("abcdefg")


def made() -> pd.DataFrame:
    """A predictions table: three images a patient, who share their class and half of their noise."""
    random = np.random.default_rng(0)
    patient = np.arange(ROWS) // 3
    truth = random.choice(len(NAMES), patient.max() + 1, p=PREVALENCE)[patient]
    shared = random.normal(size=(patient.max() + 1, len(NAMES)))[patient]
    evidence = 1.5 * np.eye(len(NAMES))[truth] + (shared + random.normal(size=shared.shape)) / np.sqrt(2)
    p = softmax(1.5 * evidence + np.log(PREVALENCE), axis=1)
    told = np.array(NAMES)[p.argmax(axis=1)]
    table = pd.DataFrame({"image": [f"{i}.png" for i in range(ROWS)], "frame": 0, "group_id": [f"p{i}" for i in patient]})
    table = table.assign(member="", view="plain", truth=np.array(NAMES)[truth], predicted=told, decision=told)
    table[[f"p_{name}" for name in NAMES]] = p
    return table


def main() -> None:
    table, task = made(), Task(classes=dict.fromkeys(NAMES, ()))
    seconds = []
    for _ in range(3):
        begin = time.process_time()
        entry = summarize(table, task)
        seconds.append(time.process_time() - begin)
    figures = sum(isinstance(each, dict) and "value" in each for each in entry.values())
    of_class = sum(isinstance(each, dict) for each in entry["per_class"]["a"].values())
    print(f"{ROWS:,} rows, {len(NAMES)} classes, {RESAMPLES:,} resamples: {min(seconds):.2f} s")
    print(f"{figures} figures, and {of_class} of each class")


if __name__ == "__main__":
    main()
