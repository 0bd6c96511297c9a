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


def draw(settings: AugmentationSettings, seed: int, epoch: int, position: int, size: int) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """The change of one image: a (2, 3) affine matrix from source to target pixels, and a (256,) intensity table."""
    chance = np.random.Generator(np.random.Philox(key=[seed, (epoch << 32) | position])).uniform(-1, 1, size=8)
    angle, zoom = np.deg2rad(settings.rotate * chance[0]), (1 + settings.scale) ** chance[1]
    linear = zoom * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    if settings.flip != "none" and chance[2] < 0:
        linear[:, 0] *= -1
    if settings.flip == "both" and chance[3] < 0:
        linear[:, 1] *= -1
    centre = np.full(2, (size - 1) / 2)
    shift = settings.translate * size * chance[4:6]
    matrix = np.column_stack([linear, centre + shift - linear @ centre])
    contrast, brightness = 1 + settings.contrast * chance[6], settings.brightness * chance[7]
    table = (np.arange(256) / 255 - 0.5) * contrast + 0.5 + brightness
    return matrix, np.clip(np.rint(table * 255), 0, 255).astype(np.uint8)


def augment(
    images: NDArray[np.uint8], positions: NDArray[np.int64], settings: AugmentationSettings, seed: int, epoch: int
) -> NDArray[np.uint8]:
    """Change a batch (B, S, S, C) into a new one; `positions` are the images' places in the table, the key of their randomness."""
    if settings.neutral:
        return images

    size = images.shape[1]
    border = cv2.BORDER_CONSTANT if settings.fill == "black" else cv2.BORDER_REFLECT_101
    out = np.empty_like(images)
    for source, target, position in zip(images, out, positions, strict=True):
        matrix, table = draw(settings, seed, epoch, int(position), size)
        warped = cv2.warpAffine(source, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=border)
        target[...] = cv2.LUT(warped, table).reshape(target.shape)
    return out
