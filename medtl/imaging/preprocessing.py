"""From a file to the network's input, the same for training, prediction and page: our reader, then one small step after the other.

Deterministic; what is random belongs to augmentation. The steps are plain callables, as MONAI's `Compose` takes them, and
:func:`medtl.imaging.monai_reader.pipeline` is that `Compose`; here MONAI is not imported, which would cost every decode worker's start
ten seconds (docs/decisions/0019-light-decode-workers.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from functools import lru_cache, reduce
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from medtl.errors import ImageError
from medtl.imaging.image import Image, in_bytes, sixteen_bits
from medtl.imaging.measuring import histogram, luminance, measure
from medtl.imaging.reader import read_location
from medtl.imaging.settings import ImageSettings
from medtl.imaging.sources import at
from medtl.imaging.viewing import View, copied, view

Planes = NDArray[np.uint16]
"""(H, W) or (H, W, 3), 65535 is white; grey stays a single plane until the end. Half of what float32 takes, and finer than needed."""
Step = Callable[[Any], Any]
"""Planes → planes, the last one → uint8."""

PERCENTILES = (0.5, 99.5)


class ToPlanes:
    """(C, H, W) in [0, 1], tensor or array → planes."""

    def __call__(self, image: Any) -> Planes:
        planes = sixteen_bits(np.asarray(image, dtype=np.float32))
        return planes[0] if len(planes) == 1 else np.ascontiguousarray(planes.transpose(1, 2, 0))


class Grey:
    """Colour becomes luminance."""

    def __call__(self, planes: Planes) -> Planes:
        return luminance(planes)


class StretchPercentiles:
    """The 0.5 … 99.5 percentile range (to 1/65535) becomes [0, 1], all channels alike; where the two coincide, minimum … maximum."""

    def __call__(self, planes: Planes) -> Planes:
        counts = histogram(planes).cumsum()
        low, high = (int(np.searchsorted(counts, share / 100 * counts[-1])) for share in PERCENTILES)
        if high <= low:
            low, high = int(planes.min()), int(planes.max())
        stretched = np.clip((np.arange(65536) - low) / (high - low), 0, 1) * 65535
        return np.asarray(cv2.LUT(planes, np.rint(stretched).astype(np.uint16)), dtype=np.uint16)


class FitSquare:
    """Resize to a square: `pad` with black to keep the aspect, centre-`crop` the long side, or `squeeze`.

    Down by area: halved as often as twice the size allows, then the rest, which is six times faster than at once. For that up to
    2^halvings - 1 lines are cut off at the edges. Up by linear interpolation, which invents no value that was not there.
    """

    def __init__(self, size: int, fit: str):
        self.size = size
        self.fit = fit

    def __call__(self, planes: Planes) -> Planes:
        height, width = planes.shape[:2]
        if self.fit == "crop":
            side = min(height, width)
            planes = _centre(planes, side, side)
        if self.fit != "pad":
            return _resize(planes, self.size, self.size)
        scale = self.size / max(height, width)
        small = _resize(planes, max(1, round(height * scale)), max(1, round(width * scale)))
        square = np.zeros((self.size, self.size, *planes.shape[2:]), planes.dtype)
        top, left = (self.size - small.shape[0]) // 2, (self.size - small.shape[1]) // 2
        square[top : top + small.shape[0], left : left + small.shape[1]] = small
        return square


class ToBytes:
    """Planes → uint8 (H, W, channels), rounded, contiguous; grey is repeated where three channels are wanted."""

    def __init__(self, channels: int):
        self.channels = channels

    def __call__(self, planes: Planes) -> NDArray[np.uint8]:
        values = in_bytes(planes)
        if values.ndim == 3:
            return values
        return values[..., None] if self.channels == 1 else np.asarray(cv2.cvtColor(values, cv2.COLOR_GRAY2RGB), dtype=np.uint8)


@lru_cache(maxsize=8)
def steps(settings: ImageSettings) -> tuple[Step, ...]:
    """From planes to the network's input, uint8 (size, size, channels)."""
    own: list[Step] = [Grey()] if settings.channels == 1 else []
    if settings.intensity == "percentile":
        own.append(StretchPercentiles())
    return (*own, FitSquare(settings.size, settings.fit), ToBytes(settings.channels))


def network_input(planes: Planes, settings: ImageSettings) -> NDArray[np.uint8]:
    """Planes after all :func:`steps`: uint8 (size, size, channels), contiguous."""
    return np.asarray(reduce(lambda image, step: step(image), steps(settings), planes), dtype=np.uint8)


def preprocess(path: Path, frame: int, settings: ImageSettings) -> tuple[NDArray[np.uint8], dict[str, object]]:
    """One image as the network sees it, and its measurements.

    Arguments:
        path: a file, or a member of an archive (`set.npz/train_images`).
        frame: 0 for ordinary files; the row of an archive's array.
    Returns:
        uint8 (size, size, channels), contiguous; a measurements row without its key (see :mod:`medtl.measurements`).
    Raises:
        ImageError: the image cannot be used (broken, unsupported, constant …).
    """
    image = read_location(at(path, frame), settings.largest_pixels, settings.volume, settings.at_least)
    return _measured(image, path, settings)


def preprocess_and_view(
    path: Path, frame: int, settings: ImageSettings, longest: int, copy: bool = False
) -> tuple[NDArray[np.uint8], dict[str, object], View]:
    """:func:`preprocess`, and the image for the eye at no more than `longest` pixels a side: of the same decoding, unless that left out
    detail (`decode: reduced`) which so large a picture, or the copy, shows.

    copy: with :attr:`View.copy`, of the whole image.
    """
    image = read_location(at(path, frame), settings.largest_pixels, settings.volume, settings.at_least)
    pixels, measurement = _measured(image, path, settings)
    if image.receipt.full_size is not None and (copy or max(image.sixteen_bits.shape[:2]) < longest):
        image = read_location(at(path, frame), settings.largest_pixels, settings.volume, None if copy else longest)
    shown = view(image, longest)
    return pixels, measurement, replace(shown, copy=copied(image)) if copy else shown


def _measured(image: Image, path: Path, settings: ImageSettings) -> tuple[NDArray[np.uint8], dict[str, object]]:
    planes = image.sixteen_bits
    if planes.min() == planes.max():
        raise ImageError("CONSTANT", str(path), "all its pixels have one value")
    return network_input(planes, settings), measure(planes, asdict(image.receipt))


def _resize(planes: Planes, height: int, width: int) -> Planes:
    (high, wide), halvings = planes.shape[:2], 0
    while high >> halvings >= 4 * height and wide >> halvings >= 4 * width:
        halvings += 1
    planes = _centre(planes, high >> halvings << halvings, wide >> halvings << halvings)
    for _ in range(halvings):
        planes = cv2.resize(planes, (planes.shape[1] // 2, planes.shape[0] // 2), interpolation=cv2.INTER_AREA)
    how = cv2.INTER_AREA if high >= height and wide >= width else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(planes, (width, height), interpolation=how))


def _centre(planes: Planes, height: int, width: int) -> Planes:
    top, left = (planes.shape[0] - height) // 2, (planes.shape[1] - width) // 2
    return planes[top : top + height, left : left + width]
