"""From a file to the network's input, the same for training, prediction and page: a MONAI `Compose` that starts with our reader.

Deterministic; what is random belongs to augmentation. Importing this imports MONAI (seconds), so only the decode workers do.
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from monai.transforms import Compose, LoadImage, Transform
from numpy.typing import NDArray

from medtl.errors import ImageError
from medtl.imaging.measuring import luminance, measure, sixteen_bits
from medtl.imaging.monai_reader import MedtlReader
from medtl.imaging.settings import ImageSettings
from medtl.imaging.sources import at

Planes = NDArray[np.float32]
"""(H, W) or (H, W, 3) in [0, 1]; grey stays a single plane until the end."""

PERCENTILES = (0.5, 99.5)


class ToPlanes(Transform):  # type: ignore[misc]
    """(C, H, W) tensor or array → planes, channel last; three equal channels become one plane."""

    def __call__(self, image: Any) -> Planes:
        pixels = np.asarray(image, dtype=np.float32)
        if len(pixels) == 1 or (np.array_equal(pixels[0], pixels[1]) and np.array_equal(pixels[0], pixels[2])):
            return np.ascontiguousarray(pixels[0])
        return np.ascontiguousarray(pixels.transpose(1, 2, 0))


class Grey(Transform):  # type: ignore[misc]
    """Colour becomes luminance."""

    def __call__(self, planes: Planes) -> Planes:
        return luminance(planes)


class StretchPercentiles(Transform):  # type: ignore[misc]
    """The 0.5 … 99.5 percentile range (to 1/65535) becomes [0, 1], all channels alike; where the two coincide, minimum … maximum."""

    def __call__(self, planes: Planes) -> Planes:
        counts = np.bincount(sixteen_bits(planes).ravel(), minlength=65536).cumsum()
        low, high = (int(np.searchsorted(counts, share / 100 * counts[-1])) / 65535 for share in PERCENTILES)
        if high <= low:
            low, high = float(planes.min()), float(planes.max())
        return np.clip((planes - np.float32(low)) / np.float32(high - low), 0, 1, dtype=np.float32)


class FitSquare(Transform):  # type: ignore[misc]
    """Resize to a square: `pad` with black to keep the aspect, centre-`crop` the long side, or `squeeze`.

    Down by area (an integer step first, which is several times faster and within 0.003 of the range), up by linear interpolation,
    which invents no value that was not there.
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
        square = np.zeros((self.size, self.size, *planes.shape[2:]), np.float32)
        top, left = (self.size - small.shape[0]) // 2, (self.size - small.shape[1]) // 2
        square[top : top + small.shape[0], left : left + small.shape[1]] = small
        return square


class ToBytes(Transform):  # type: ignore[misc]
    """[0, 1] → uint8 (H, W, channels), rounded, contiguous; grey is repeated where three channels are wanted."""

    def __init__(self, channels: int):
        self.channels = channels

    def __call__(self, planes: Planes) -> NDArray[np.uint8]:
        values = (np.clip(planes, 0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8)
        if values.ndim == 3:
            return values
        return values[..., None] if self.channels == 1 else np.asarray(cv2.cvtColor(values, cv2.COLOR_GRAY2RGB), dtype=np.uint8)


@lru_cache(maxsize=8)
def pipeline(settings: ImageSettings) -> Compose:
    """The whole preprocessing: an address (see :mod:`medtl.imaging.sources`) → uint8 (size, size, channels)."""
    steps: list[Any] = [_loader(MedtlReader(settings.largest_pixels, settings.volume)), ToPlanes()]
    if settings.channels == 1:
        steps.append(Grey())
    if settings.intensity == "percentile":
        steps.append(StretchPercentiles())
    return Compose([*steps, FitSquare(settings.size, settings.fit), ToBytes(settings.channels)])


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
    steps = pipeline(settings)
    try:
        loaded = steps(at(path, frame).address, end=1)
    except RuntimeError as error:  # Compose wraps whatever a step raises
        if isinstance(error.__cause__, ImageError | MemoryError):
            raise error.__cause__ from None
        raise
    planes = ToPlanes()(loaded)
    if planes.min() == planes.max():
        raise ImageError("CONSTANT", str(path), "all its pixels have one value")
    measurement = measure(planes, loaded.meta["receipt"])
    return steps(loaded, start=1), measurement


def _loader(reader: MedtlReader) -> LoadImage:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # LoadImage sets up all of MONAI's readers, which warn about what is not installed
        loader = LoadImage(reader=reader, dtype=np.float32, expanduser=False)
    loader.readers = [reader]  # and none of those may ever be tried on the same bytes
    return loader


def _resize(planes: Planes, height: int, width: int) -> Planes:
    down = planes.shape[0] >= height and planes.shape[1] >= width
    step = min(planes.shape[0] // height, planes.shape[1] // width) // 2 if down else 1
    if step >= 2:
        high, wide = planes.shape[0] // step, planes.shape[1] // step
        planes = cv2.resize(_centre(planes, high * step, wide * step), (wide, high), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(planes, (width, height), interpolation=cv2.INTER_AREA if down else cv2.INTER_LINEAR), dtype=np.float32)


def _centre(planes: Planes, height: int, width: int) -> Planes:
    top, left = (planes.shape[0] - height) // 2, (planes.shape[1] - width) // 2
    return planes[top : top + height, left : left + width]
