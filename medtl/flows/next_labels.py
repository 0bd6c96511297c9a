"""`medtl next`: of another place's images, which to label first, as a table to be filled in."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.stats import entropy

from medtl import predictions
from medtl.errors import MedtlError
from medtl.files import write_atomically
from medtl.flows.run import model_folder
from medtl.flows.shift import images_named
from medtl.flows.shift_images import looked
from medtl.imaging.cache import cache_dir
from medtl.imaging.store import open_store
from medtl.labelling.choosing import AT_RANDOM, FOR_VARIETY, FOR_VARIETY_AND_DOUBT, choose
from medtl.model.model import Model
from medtl.records import KEY
from medtl.terminal import Line
from medtl.training.probe import spread


def choose_next(
    target: Path | str,
    images: Path | str,
    out: Path | str,
    count: int = 25,
    column: Mapping[str, str] | None = None,
    unsure: bool = False,
    seed: int = 0,
) -> pd.DataFrame:
    """Choose `count` images and write `out`, a manifest with an empty `label` and `chosen` (see :mod:`medtl.labelling.choosing`).

    target: a run or a model package, whose features tell images apart. images: a folder, or a manifest with `image` and, so that a
    patient is asked once, `patient_id`; column: what a column is called there. unsure: weigh images by the entropy of the model's
    answers; where the place differs much, a model may be sure and wrong. No label is read. Raises MedtlError: `out` exists, too few images.
    """
    out, images = Path(out), Path(images)
    if out.exists():
        raise MedtlError(f"--out {out}: exists; labels may have been filled in there, so choose another name")
    model, line = Model.load(model_folder(target)), Line()
    table, root, unit = images_named(images, dict(column or {}))
    store = open_store(table[KEY], root, model.image, cache_dir(), line.progress("images"))
    positions = np.flatnonzero(store.usable)
    if len(positions) < count:
        unread = f" ({len(table) - len(positions):,} more cannot be read)" if len(positions) < len(table) else ""
        raise MedtlError(f"--count {count}: there are {len(positions):,} images in {images}{unread}; allowed: 1 to {len(positions)}")
    logits, features = looked(model, store, positions, line.progress("features"))
    rows = table.iloc[positions].reset_index(drop=True)
    found = torch.from_numpy(features)
    chosen = choose(
        (found / spread(found, model.members[0].network.dims)).numpy(),
        count,
        seed,
        rows["group_id"].to_numpy(),
        _entropy(model, rows, logits) if unsure else None,
    )
    given = rows.iloc[chosen.positions].reset_index(drop=True)
    written = pd.DataFrame(
        {
            "image": [Path(os.path.relpath(root / name, out.absolute().parent)).as_posix() for name in given["image"]],
            "frame": given["frame"],
            **({f"{unit}_id": given["group_id"]} if unit != "image" else {}),
            "label": "",
            "chosen": np.where(chosen.at_random, AT_RANDOM, FOR_VARIETY_AND_DOUBT if unsure else FOR_VARIETY),
        }
    )
    write_atomically(out, lambda temporary: written.to_csv(temporary, index=False, encoding="utf-8", lineterminator="\n"))
    line.clear()
    print(
        f"{count} of {len(positions):,} images, {int(chosen.at_random.sum())} of them at random: only these tell how often a class occurs, "
        f"and only they may calibrate, set thresholds or decide a release\ntable: {out}   (fill in the column label)"
    )
    return written


def _entropy(model: Model, rows: pd.DataFrame, logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """(N,) of the model's calibrated answers; of several findings the sum."""
    p = predictions.probabilities(model.answer(rows[KEY], logits))
    each = entropy(p, axis=1) if model.task.kind == "single" else entropy(np.stack([p, 1 - p]), axis=0).sum(axis=1)
    return np.asarray(each, np.float64)
