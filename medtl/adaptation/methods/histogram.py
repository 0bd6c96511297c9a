"""Intensity standardisation: source images are shown with the target's grey levels (after Nyúl & Udupa, MRM 1999).

One table of 256 values per channel takes the mean histogram of the source's training images to that of the target's (histogram
specification), the same for all images: what makes one image brighter than another stays, what a device or window does to all goes. The
source is changed and not the target, so that the released model takes the target's images as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from medtl.adaptation import SOURCE_DATA, MethodSettings

NEEDS = (SOURCE_DATA,)
KIND = "inputs"
_AT_ONCE = 256
Images = NDArray[np.uint8]
Places = NDArray[np.int64]
Read = Callable[[Places], Images]


class Settings(MethodSettings):
    name: Literal["histogram"] = "histogram"
    weight: Annotated[float, Field(ge=0, le=1)] = 1.0
    """How far every value goes from its own to the target's."""


def build(settings: Settings, read: Read, source: Places, target: Places, seed: int) -> Callable[[Images, Places], Images]:
    """The contract of `medtl.adaptation.methods`."""
    ends = matching(histogram(read, source), histogram(read, target))
    tables = np.rint((1 - settings.weight) * np.arange(256) + settings.weight * ends).astype(np.uint8)

    def show(images: Images, positions: Places) -> Images:
        return np.stack([tables[channel][images[..., channel]] for channel in range(images.shape[-1])], axis=-1)

    return show


def histogram(read: Read, positions: Places) -> NDArray[np.float64]:
    """(C, 256) shares of the values of each channel over all these images."""
    counts = 0
    for start in range(0, len(positions), _AT_ONCE):
        images = read(positions[start : start + _AT_ONCE])
        counts = counts + np.stack([np.bincount(images[..., c].ravel(), minlength=256) for c in range(images.shape[-1])])
    return np.asarray(counts / np.sum(counts, axis=1, keepdims=True))


def matching(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """(C, 256) where each value of the source goes: to the value of the same rank in the target, the middle of its own ranks counting.

    Ranks are cumulated shares; between the target's values they are interpolated, and equal histograms give every value that occurs back.
    """
    found = np.empty(source.shape)
    for own, other, row in zip(source, target, found, strict=True):
        there = np.flatnonzero(other)
        middle = np.cumsum(other) - other / 2
        row[:] = np.interp(np.cumsum(own) - own / 2, middle[there], there)
    return found
