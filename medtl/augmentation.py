"""Augmentation: one fused, seeded affine and intensity change per image, by cv2 on stored uint8 images.

The random parameters of an image depend on (seed, epoch, position of the image) alone, not on batches, workers or what
was drawn before, so a resumed run draws what the uninterrupted one would have drawn.
"""

from __future__ import annotations

from typing import Annotated, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from medtl.registry import Settings


class AugmentationSettings(Settings):
    """Ranges of the random changes; each is drawn anew per image and epoch, uniformly, from the run's seed."""

    flip: Literal["none", "horizontal", "both"] = "none"
    """Mirror with probability 1/2: `horizontal` left-right, `both` also up-down. Off by default: a chest has sides."""
    rotate: Annotated[float, Field(ge=0, le=180)] = 10.0
    """Degrees, ± ."""
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.15
    """Zoom between 1/(1+s) and 1+s."""
    translate: Annotated[float, Field(ge=0, le=0.5)] = 0.06
    """Shift, ±, as a share of the side."""
    brightness: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Added, ±, on the [0, 1] range."""
    contrast: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Factor around the middle grey between 1 - c and 1 + c."""
    fill: Literal["black", "mirror"] = "black"
    """What fills the corners that rotation and shift uncover."""

    @property
    def neutral(self) -> bool:
        """True if nothing changes."""
        return self.flip == "none" and not (self.rotate or self.scale or self.translate or self.brightness or self.contrast)

    def at_least(self, floor: AugmentationSettings) -> AugmentationSettings:
        """These settings with no range narrower than that of `floor`; mirroring and fill as they are."""
        ranges = ("rotate", "scale", "translate", "brightness", "contrast")
        return self.model_copy(update={name: max(getattr(self, name), getattr(floor, name)) for name in ranges})


STRONG = AugmentationSettings(rotate=15, scale=0.25, translate=0.1, brightness=0.25, contrast=0.5)
"""Beside which adaptation has to prove itself: what augmentation can do against another device costs nothing."""


def draw(
    settings: AugmentationSettings, seed: int, epoch: int, positions: NDArray[np.int64], size: int
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """The changes of B images: (B, 2, 3) affine matrices from source to target pixels, and (B, 256) intensity tables."""
    keys = np.column_stack([np.full(len(positions), seed, np.uint64), np.uint64(epoch << 32) | positions.astype(np.uint64)])
    chance = _random(keys) * 2 - 1
    angle, zoom = np.deg2rad(settings.rotate * chance[:, 0]), (1 + settings.scale) ** chance[:, 1]
    matrix = np.empty((len(positions), 2, 3))
    matrix[:, 0, 0] = matrix[:, 1, 1] = zoom * np.cos(angle)
    matrix[:, 0, 1] = zoom * np.sin(angle)
    matrix[:, 1, 0] = -matrix[:, 0, 1]
    if settings.flip != "none":
        matrix[:, :, 0] *= np.where(chance[:, 2] < 0, -1, 1)[:, None]
    if settings.flip == "both":
        matrix[:, :, 1] *= np.where(chance[:, 3] < 0, -1, 1)[:, None]
    centre = (size - 1) / 2
    matrix[:, :, 2] = centre + settings.translate * size * chance[:, 4:6] - centre * matrix[:, :, :2].sum(axis=2)
    contrast, brightness = 1 + settings.contrast * chance[:, 6:7], settings.brightness * chance[:, 7:8]
    tables = (np.arange(256) / 255 - 0.5) * contrast + 0.5 + brightness
    return matrix, np.clip(np.rint(tables * 255), 0, 255).astype(np.uint8)


def _random(keys: NDArray[np.uint64]) -> NDArray[np.float64]:
    """(B, 8) in [0, 1): the first numbers of `Generator(Philox(key=key))` for keys (B, 2); setting one back is faster than making many."""
    philox = np.random.Philox(key=0)
    generator, start = np.random.Generator(philox), philox.state
    numbers = np.empty((len(keys), 8))
    for key, row in zip(keys, numbers, strict=True):
        start["state"]["key"] = key
        philox.state = start
        generator.random(out=row)
    return numbers


def augment(
    images: NDArray[np.uint8], positions: NDArray[np.int64], settings: AugmentationSettings, seed: int, epoch: int
) -> NDArray[np.uint8]:
    """Change a batch (B, S, S, C) into a new one; `positions` are the images' places in the table, the key of their randomness."""
    if settings.neutral:
        return images

    size = images.shape[1]
    border = cv2.BORDER_CONSTANT if settings.fill == "black" else cv2.BORDER_REFLECT_101
    out = np.empty_like(images)
    for source, target, matrix, table in zip(images, out, *draw(settings, seed, epoch, positions, size), strict=True):
        cv2.warpAffine(source, matrix, (size, size), dst=target, flags=cv2.INTER_LINEAR, borderMode=border)
        if settings.brightness or settings.contrast:
            cv2.LUT(target, table, dst=target)
    return out
