"""Images as a model sees them, for the comparison of places: features and answers of one pass, and what was measured."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from medtl import predictions
from medtl.audit.joined import joined
from medtl.audit.properties import with_derived
from medtl.features import BATCH
from medtl.imaging.store import Progress, Store
from medtl.model.model import Model
from medtl.records import KEY
from medtl.shift.examine import Sample
from medtl.shift.measured import measured_of

Images = NDArray[np.uint8]


def looked(
    model: Model, store: Store, positions: NDArray[np.intp], progress: Progress, show: Callable[[Images], Images] = lambda images: images
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Raw logits (M, N, K) of all members and features (N, D) of the first, of the readable images at `positions` as `show` shows them."""
    logits, features = [], []
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        for start in range(0, len(positions), BATCH):
            images = show(store.read(positions[start : start + BATCH]))
            batch = torch.from_numpy(np.ascontiguousarray(images)).to(model.device)
            found = [member.with_features(batch) for member in model.members]
            logits.append(np.stack([each.float().cpu().numpy() for each, _ in found]))
            features.append(found[0][1].double().cpu().numpy())
            progress(min(start + BATCH, len(positions)), len(positions))
    return np.concatenate(logits, axis=1), np.concatenate(features)


def sample_of(
    model: Model, rows: pd.DataFrame, store: Store, positions: NDArray[np.intp], logits: NDArray[np.float32], features: NDArray[np.float64]
) -> Sample:
    """`rows` (with key, `group_id`, and where known `label`), whose images stand at `positions`, as a sample; features as given."""
    measured = with_derived(joined(rows[KEY].reset_index(drop=True), store.measurements.iloc[positions]))
    groups = pd.factorize(rows["group_id"], sort=True)[0].astype(np.int64)
    columns = measured_of(measured)
    if model.task.kind == "multi":
        return Sample(groups, columns, features)
    table = model.answer(rows[KEY].reset_index(drop=True), logits)
    place = {name: k for k, name in enumerate(model.task.names)}
    truth = rows["label"].map(place).to_numpy(np.int64) if "label" in rows.columns else None
    return Sample(groups, columns, features, predictions.probabilities(table), table["predicted"].map(place).to_numpy(np.int64), truth)
