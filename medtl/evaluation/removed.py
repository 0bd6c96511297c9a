"""Deletion and insertion of a saliency map's places beside random ones (`medtl.explanation.quality`): the difference, and what it says."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medtl.evaluation.contrast import contrast
from medtl.evaluation.influence import Linear
from medtl.evaluation.stressed import FEWEST


def compared(by_map: NDArray[np.float64], random: NDArray[np.float64], groups: NDArray[np.int64]) -> dict[str, float | None]:
    """(N,) areas by the map and by random order, of images in `groups` (N,) 0 … G-1: `{"map", "random", "value", "low", "high"}`, the means
    and their paired difference; without ends where fewer than ten groups tell how it varies."""
    gap = contrast(_mean(by_map, groups), _mean(random, groups))
    few = math.isnan(gap.error) or gap.freedom + 1 < FEWEST
    ends = {"low": None, "high": None} if few else {"low": gap.low, "high": gap.high}
    return {"map": gap.candidate, "random": gap.reference, "value": gap.value, **ends}


def _mean(values: NDArray[np.float64], groups: NDArray[np.int64]) -> Linear:
    influence = np.bincount(groups, weights=(values - values.mean()) / len(values)).astype(np.float64)
    return Linear(float(values.mean()), influence, len(influence))


def sentence(found: Mapping[str, Any]) -> str:
    """What may be said of the maps: only what the intervals of both differences support."""
    deletion, insertion = found["deletion"], found["insertion"]
    told = (
        f"Saliency, {found['images']} images: while a map's strongest places are blurred away the class keeps a mean probability of "
        f"{deletion['map']:.3f} (random places: {deletion['random']:.3f}), while they come back {insertion['map']:.3f} "
        f"({insertion['random']:.3f})"
    )
    if deletion["high"] is None:
        return f"{told}; fewer than {FEWEST} groups, so no more is said."
    lost, won = deletion["high"] < 0, insertion["low"] > 0
    if lost and won:
        return f"{told}: the maps mark places that its answers hang on."
    either = "only one of the two shows" if lost or won else "neither shows"
    return f"{told}: {either} that the maps mark places that its answers hang on."
