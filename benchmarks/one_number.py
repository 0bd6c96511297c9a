"""How far one number per image gets on a run's test images, the yardstick beside every AUROC: bytes, brightness, contrast, mean gradient.

python benchmarks/one_number.py RUN

Each number's direction is taken from the training images. A data set on which such a rule does well has a shortcut that a network will
find too. Prints JSON: AUROC on test (over folds: out of fold).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medtl.evaluation.ranking import auroc
from medtl.flows.run import Run, load_run
from medtl.imaging.cache import cache_dir
from medtl.imaging.store import Store, open_store
from medtl.records import KEY


def main(run: Run) -> None:
    parts = run.folds() or [run]
    root = Path(str(run.environment()["data_root"]))
    signed: dict[str, list[NDArray[np.float64]]] = {}
    truths = []
    for part in parts:
        rows = part.records()
        rows = rows[rows["split"].isin(["train", "test"]) & (rows["label"] != "")].reset_index(drop=True)
        store = open_store(rows[KEY], root, run.experiment.image, cache_dir())
        positive = (rows["label"] == run.experiment.task.names[run.experiment.task.positive_index or 0]).to_numpy()
        train, test = (rows["split"] == "train").to_numpy(), (rows["split"] == "test").to_numpy()
        for name, values in numbers(store).items():
            sign = 1.0 if auroc(positive[train].astype(int), two_sided(values[train])) >= 0.5 else -1.0
            signed.setdefault(name, []).append(sign * values[test])
        truths.append(positive[test].astype(int))
    truth = np.concatenate(truths)
    result = {name: round(auroc(truth, two_sided(np.concatenate(values))), 4) for name, values in signed.items()}
    print(json.dumps({"run": run.name, "test_images": len(truth), "auroc": result}, indent=2))


def numbers(store: Store) -> dict[str, NDArray[np.float64]]:
    """Name → one value per image."""
    measured = store.measurements
    found = {name: measured[name].to_numpy(np.float64) for name in ("bytes", "brightness", "contrast")}
    found["mean gradient"] = np.array([gradient(store.read([i])[0]) for i in range(len(store))])
    return found


def gradient(image: NDArray[np.uint8]) -> float:
    """Mean length of the grey-level gradient of a stored image (S, S, C)."""
    grey = image.astype(np.float64).mean(axis=2)
    down, across = np.gradient(grey)
    return float(np.hypot(down, across).mean())


def two_sided(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """As two columns, the form in which the ranking functions take a binary task."""
    return np.stack([-values, values], axis=1)


if __name__ == "__main__":
    main(load_run(sys.argv[1]))
