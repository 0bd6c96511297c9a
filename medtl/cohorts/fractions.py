"""A part of the labels, as if the rest had never been bought: for learning curves."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pandas as pd

from medtl import findings
from medtl.cohorts.chance import draw
from medtl.cohorts.settings import SplitSettings
from medtl.contracts import EXCLUDED, TRAIN, VALIDATION
from medtl.records import SPELLING

LEAST = {TRAIN: 2, VALIDATION: 1}
"""Groups of every class that stay in any case: fewer cannot be learned from, or judged."""


def draw_fraction(made: pd.DataFrame, settings: SplitSettings, seed: int) -> pd.DataFrame:
    """Records in which `split.fraction` of the groups of train and of validation keep their place, the others are `excluded`.

    Whole groups (patients) are drawn, class by class (that of most of a group's images), in an order that `seed` alone decides: a
    smaller fraction is part of a larger one, and another seed draws another part. A few with an image of each class stay in any case,
    also of one that is nowhere the most frequent. Test and held-out images stay as they are. Of several findings per image, groups are
    drawn from all together, and a few with and without each finding stay.
    """
    if settings.fraction == 1:
        return made
    made = made.copy()
    for split, least in LEAST.items():
        rows = made[(made["split"] == split) & (made["label"] != "")]  # what is hidden was not bought either way
        chance = rows.groupby("group_id")["sha256"].min().map(lambda unit, of=split: draw(seed, f"fraction of {of}:{unit}"))
        kept: set[str] = set()
        for own, share in _strata(rows, settings.fraction):
            wanted = max(least, math.ceil(share * len(own)))
            kept |= set(chance[own].sort_values().index[:wanted])
        made.loc[rows.index[~rows["group_id"].isin(kept)], "split"] = EXCLUDED
    return made


def _strata(rows: pd.DataFrame, fraction: float) -> Iterator[tuple[pd.Index, float]]:
    """Groups that are drawn from together, and the share of them to be drawn."""
    own = findings.columns_of(rows)
    label = rows.groupby("group_id")["label"].agg(lambda labels: "" if own else labels.mode().iloc[0])
    for _, same in label.groupby(label):
        yield same.index, fraction
    for column in own or ["label"]:
        for value, of_value in rows.groupby(column)["group_id"]:
            if value != "":
                yield pd.Index(of_value.unique()), 0.0


def shuffle_labels(made: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Records whose labels are dealt anew among all labelled images: whatever is learned from them is not in the images."""
    made = made.copy()
    labelled = made.index[made["label"] != ""]
    images = zip(labelled, made.loc[labelled, "sha256"], made.loc[labelled, "frame"], strict=True)
    order = [row for _, row in sorted((draw(seed, f"label of {digest}:{frame}"), row) for row, digest, frame in images)]
    columns = [*(column for column in ("label", SPELLING) if column in made), *findings.columns_of(made)]
    made.loc[labelled, columns] = made.loc[order, columns].to_numpy()
    return made
