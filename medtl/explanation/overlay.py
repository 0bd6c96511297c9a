"""Saliency painted over an image: colour where the map is strong, the bare picture where it is weak."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from medtl.errors import MedtlError

STRENGTH = 0.65
"""Opacity of the strongest place, so that the picture shows through everywhere."""
_FIRST_COLOUR = 0.25
_FADING = 1.2
"""Exponent of the opacity: weak places fade away instead of veiling the whole picture."""


def heat(saliency: NDArray[np.floating]) -> NDArray[np.uint8]:
    """(H, W) in [0, 1] → uint8 RGBA (H, W, 4), the more opaque the stronger.

    Colours: `viridis` from its blue on: even in lightness, readable without colour vision, and of a hue that skin does not have.
    """
    strength = np.clip(np.asarray(saliency, np.float32), 0, 1)
    step = ((_FIRST_COLOUR + (1 - _FIRST_COLOUR) * strength) * 255 + 0.5).astype(np.uint8)
    colour = cv2.cvtColor(cv2.applyColorMap(step, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB)
    return np.dstack([colour, (strength**_FADING * 255 + 0.5).astype(np.uint8)])


def overlay(image: NDArray[np.uint8], saliency: NDArray[np.floating], strength: float = STRENGTH) -> NDArray[np.uint8]:
    """The image with its saliency over it: uint8 RGB (H, W, 3).

    Arguments:
        image: uint8 (H, W), (H, W, 1) or (H, W, 3).
        saliency: (H, W) in [0, 1], of the same height and width.
        strength: opacity where the saliency is 1.
    """
    if image.dtype != np.uint8 or image.shape[:2] != saliency.shape or image.ndim not in (2, 3):
        raise MedtlError(f"overlay: image {image.shape} {image.dtype} and saliency {saliency.shape}; both need the same height and width")
    grey = image.ndim == 2 or image.shape[2] == 1
    picture = np.repeat(image.reshape(*image.shape[:2], 1), 3, axis=2) if grey else image
    coloured = heat(saliency)
    share = coloured[..., 3:].astype(np.float32) / 255 * np.float32(strength)
    return (picture * (1 - share) + coloured[..., :3] * share + 0.5).astype(np.uint8)
