"""Whether a model's saliency maps show what its answers hang on: deletion and insertion on some of the images being judged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.evaluation.removed import compared
from medtl.imaging.store import Store
from medtl.model.model import Model
from medtl.terminal import Line

MOST = 50
RANDOM_ORDERS = 3


def check_saliency(model: Model, rows: pd.DataFrame, store: Store, own: NDArray[np.intp], line: Line) -> dict[str, Any]:
    """Of up to 50 images, evenly over `rows` (of records, whose images stand at `own` of the store): mean areas by map and by random order
    and their difference by group, as JSON: `{"images", "groups", "deletion": {"map", "random", "value", "low", "high"}, "insertion": …}`;
    empty where no image has the class.

    The class whose probability is followed: of two classes the positive one, on its own images, for the absence of a finding has no place;
    else the most probable one of the whole image.
    """
    from medtl.explanation.quality import random_maps, removal
    from medtl.explanation.saliency import saliency

    positive = model.task.positive_index
    asked = np.arange(len(own)) if positive is None else np.flatnonzero(rows["label"] == model.task.names[positive])
    chosen = asked[np.unique(np.linspace(0, len(asked) - 1, min(MOST, len(asked))).round().astype(np.int64))]
    if not len(chosen):
        return {}
    images = store.read(own[chosen])
    line.show(f"saliency of {len(images)} images …")
    most = model.predict_arrays(images).mean(axis=0).argmax(axis=1).astype(np.int64)
    classes = most if positive is None else np.full(len(images), positive, np.int64)
    by_map = removal(model, images, classes, saliency(model, images, classes.tolist()))
    drawn = [removal(model, images, classes, random_maps(len(images), seed)) for seed in range(RANDOM_ORDERS)]
    groups = pd.factorize(rows["group_id"].iloc[chosen])[0].astype(np.int64)
    found: dict[str, Any] = {"images": len(images), "groups": int(groups.max()) + 1}
    for name in ("deletion", "insertion"):
        random = np.mean([getattr(each, name) for each in drawn], axis=0)
        found[name] = compared(getattr(by_map, name), random, groups)
    return found
