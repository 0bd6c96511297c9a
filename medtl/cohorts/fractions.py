"""A part of the labels, as if the rest had never been bought: for learning curves."""

from __future__ import annotations

import math

import pandas as pd

from medtl.cohorts.chance import draw
from medtl.cohorts.settings import SplitSettings
from medtl.contracts import EXCLUDED, TRAIN, VALIDATION

LEAST = {TRAIN: 2, VALIDATION: 1}
"""Groups of every class that stay in any case: fewer cannot be learned from, or judged."""


def draw_fraction(made: pd.DataFrame, settings: SplitSettings, seed: int) -> pd.DataFrame:
    """Records in which `split.fraction` of the groups of train and of validation keep their place, the others are `excluded`.

    Whole groups (patients) are drawn, class by class (that of most of a group's images), in an order that `seed` alone decides: a
    smaller fraction is part of a larger one, and another seed draws another part. Test images stay as they are.
    """
    if settings.fraction == 1:
        return made
    made = made.copy()
    for split, least in LEAST.items():
        rows = made[made["split"] == split]
        groups = rows.groupby("group_id").agg(label=("label", lambda labels: labels.mode().iloc[0]), unit=("sha256", "min"))
        groups["chance"] = [draw(seed, f"fraction of {split}:{unit}") for unit in groups["unit"]]
        kept: set[str] = set()
        for _, own in groups.groupby("label"):
            wanted = max(least, math.ceil(settings.fraction * len(own)))
            kept |= set(own.sort_values("chance").index[:wanted])
        made.loc[rows.index[~rows["group_id"].isin(kept)], "split"] = EXCLUDED
    return made


def shuffle_labels(made: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Records whose labels are dealt anew among all labelled images: whatever is learned from them is not in the images."""
    made = made.copy()
    labelled = made.index[made["label"] != ""]
    images = zip(labelled, made.loc[labelled, "sha256"], made.loc[labelled, "frame"], strict=True)
    order = [row for _, row in sorted((draw(seed, f"label of {digest}:{frame}"), row) for row, digest, frame in images)]
    made.loc[labelled, "label"] = made.loc[order, "label"].to_numpy()
    return made
