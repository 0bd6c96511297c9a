"""A plain baseline beside a trained model: what the nearest training images are, by the features of the frozen pretrained backbone.

Any network has to beat it on the same images. It costs next to nothing where a run has a linear probe, whose features are in the cache;
elsewhere it is left out with its reason.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl import findings
from medtl.contracts import TRAIN, Task
from medtl.evaluation import baseline
from medtl.flows.audit_evidence import WITHOUT, features
from medtl.flows.run import Run
from medtl.imaging.cache import cache_dir
from medtl.imaging.store import Store, open_store
from medtl.ranking.knn import NEIGHBOURS, votes_of_training
from medtl.records import KEY
from medtl.terminal import Line

Floats = NDArray[np.float64]


def nearest_images(run: Run, split: str, root: Path, line: Line, store: Store | None = None) -> dict[str, Any]:
    """What baselines.json says as `neighbours` of one split: `auroc`, `accuracy` (estimates), `nearest` (how many vote), `of` (how many
    training images; the fewest of any of `folds`), `features` (whose); or `reason`. Over folds each image is asked of those of its fold.

    `store`: of all images, row for row as the run's records; opened where it is not given.
    """
    if not run.experiment.transfer.probed:
        return {"reason": f"{run.experiment.transfer.strategy} computes no features of the frozen network"}
    parts = [each.records() for each in run.folds() or [run]]
    rows = run.records()
    used = np.logical_or.reduce([_places(rows, each[each["split"].isin([TRAIN, split])]) for each in parts])
    if store is None:
        rows = rows[used].reset_index(drop=True)
        store = open_store(rows[KEY], root, run.experiment.image, cache_dir(), line.progress("images"))
    settings = run.experiment
    found, about = features(store, settings.backbone, settings.image, settings.trainer, root, settings.seed, line)
    if found is None:
        return {"reason": about.removesuffix(f": {WITHOUT}.")}
    same = store.measurements["sha256"].to_numpy() == rows["sha256"].to_numpy()
    found[~same] = np.nan
    asked = [_asked(rows, part, found, split, settings.task) for part in parts]
    if not any(len(truth) for _, truth, _ in asked):
        return {"reason": f"no labelled images of {split}, or none of training"}
    shares, truth = (np.concatenate([each[place] for each in asked]) for place in (0, 1))
    groups = np.unique(np.concatenate([each[2] for each in asked]), return_inverse=True)[1]
    told = baseline.figures(shares, truth, groups.astype(np.int64), settings.task.positive_index)
    readable = np.isfinite(found).all(axis=1)
    known = min(int((readable & _places(rows, _learned(part))).sum()) for part in parts)
    named = f"{settings.backbone.name} ({Path(settings.backbone.weights).name})"
    return {**told, "nearest": NEIGHBOURS, "of": known, "folds": len(parts), "features": named}


def _asked(
    rows: pd.DataFrame, part: pd.DataFrame, found: NDArray[np.float32], split: str, task: Task
) -> tuple[Floats, Floats, NDArray[Any]]:
    """Shares, truths and group names of the labelled images of `split` in one part."""
    learned = _rows_of(rows, _learned(part))
    judged = _rows_of(rows, part[(part["split"] == split) & (part["label"] != "")])
    learned = learned[np.isfinite(found[learned]).all(axis=1)]
    truth, marks = (_marks(rows.iloc[places], task) for places in (judged, learned))
    shares = np.full(truth.shape, np.nan)
    read = np.isfinite(found[judged]).all(axis=1)
    if not len(learned):
        return shares[:0], truth[:0], np.array([], str)
    if read.any():
        shares[read] = votes_of_training(found[learned], marks, found[judged][read])
    return shares, truth, rows.iloc[judged]["group_id"].to_numpy(str)


def _marks(rows: pd.DataFrame, task: Task) -> Floats:
    """(N, K) 1, 0, NaN = unknown."""
    if task.kind == "multi":
        return findings.numbers(rows, task.names)
    return np.asarray(rows["label"].to_numpy(str)[:, None] == np.array(task.names), dtype=np.float64)


def _learned(part: pd.DataFrame) -> pd.DataFrame:
    return part[(part["split"] == TRAIN) & (part["label"] != "")]


def _places(rows: pd.DataFrame, some: pd.DataFrame) -> NDArray[np.bool_]:
    return np.asarray(pd.MultiIndex.from_frame(rows[KEY]).isin(pd.MultiIndex.from_frame(some[KEY])))


def _rows_of(rows: pd.DataFrame, some: pd.DataFrame) -> NDArray[np.intp]:
    return np.flatnonzero(_places(rows, some))
