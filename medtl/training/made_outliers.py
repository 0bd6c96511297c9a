"""Pictures that no model was made for, out of images that one was made for: what a gate is chosen by.

They are easy on purpose, and none is like what comes by mistake in a hospital. They tell which of two measures is the better, and that a
gate works at all; how it does on another hospital's odd images is not known from them.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]
"""(N, S, S, C)"""
TILES = 4


def noise(images: Images, chance: np.random.Generator) -> Images:
    """Every value drawn anew, all alike."""
    return chance.integers(0, 256, images.shape, np.uint8)


def blank(images: Images, chance: np.random.Generator) -> Images:
    """Each image's mean everywhere."""
    return np.broadcast_to(images.mean(axis=(1, 2), keepdims=True).astype(np.uint8), images.shape).copy()


def inverted(images: Images, chance: np.random.Generator) -> Images:
    """White for black."""
    return 255 - images


def rotated(images: Images, chance: np.random.Generator) -> Images:
    """By 90 degrees, either way."""
    return np.stack([np.rot90(each, turn) for each, turn in zip(images, chance.choice([1, 3], len(images)), strict=True)])


def corner(images: Images, chance: np.random.Generator) -> Images:
    """One corner of a quarter of the side, enlarged."""
    size, channels = images.shape[1], images.shape[3]
    side = max(1, size // 4)
    found = np.empty_like(images)
    for place, (down, right) in enumerate(chance.integers(0, 2, (len(images), 2))):
        top, left = down * (size - side), right * (size - side)
        part = np.ascontiguousarray(images[place, top : top + side, left : left + side])
        found[place] = cv2.resize(part, (size, size), interpolation=cv2.INTER_LINEAR).reshape(size, size, channels)
    return found


def shuffled(images: Images, chance: np.random.Generator) -> Images:
    """Cut into tiles that are put together in another order: every detail is right, the whole is not."""
    side = images.shape[1] // TILES
    found = images.copy()
    places = [(row * side, column * side) for row in range(TILES) for column in range(TILES)]
    for image, source in zip(found, images, strict=True):
        for (top, left), other in zip(places, chance.permutation(len(places)), strict=True):
            row, column = places[other]
            image[top : top + side, left : left + side] = source[row : row + side, column : column + side]
    return found


def stripes(images: Images, chance: np.random.Generator) -> Images:
    """A test pattern: waves of one direction and width, black to white."""
    size = images.shape[1]
    rows, columns = np.mgrid[:size, :size] / size
    turns, waves = chance.uniform(0, np.pi, len(images)), chance.uniform(3, 12, len(images))
    phase = waves[:, None, None] * (np.cos(turns)[:, None, None] * rows + np.sin(turns)[:, None, None] * columns)
    grey = (127.5 * (1 + np.sin(2 * np.pi * phase))).astype(np.uint8)
    return np.repeat(grey[..., None], images.shape[3], axis=3)


KINDS: dict[str, Callable[[Images, np.random.Generator], Images]] = {
    each.__name__: each for each in (noise, blank, inverted, rotated, corner, shuffled, stripes)
}


def made(images: Images, kind: str, seed: int) -> Images:
    """One outlier of this kind out of each image, uint8 (N, S, S, C); the same for the same seed."""
    return KINDS[kind](images, np.random.Generator(np.random.Philox(key=[seed, list(KINDS).index(kind)])))
