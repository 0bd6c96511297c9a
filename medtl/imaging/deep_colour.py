"""Colour of 16 bits per sample in PNG and TIFF, by OpenCV: Pillow would silently keep the upper 8 bits, or garble separate planes."""

from __future__ import annotations

from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from medtl.imaging.image import Encoded

_PNG_GREY_ALPHA, _PNG_COLOUR = 4, (2, 4, 6)
_BITS, _PHOTOMETRIC, _SAMPLES, _PLANES, _EXTRA, _FORMAT = 258, 262, 277, 284, 338, 339
_RGB, _CONTIGUOUS, _UNSIGNED = 2, 1, 1
_NO_ALPHA, _ASSOCIATED = 0, 1
"""TIFF's ExtraSamples: a fourth sample of unknown meaning; colours already multiplied by alpha."""


def is_deep_colour(picture: PIL.Image.Image, encoded: Encoded) -> bool:
    """Whether an opened picture holds several samples of more than 8 bits for a pixel."""
    if picture.format == "PNG":
        return encoded.data[24] == 16 and encoded.data[25] in _PNG_COLOUR
    if picture.format == "TIFF":
        return int(_tag(picture, _SAMPLES, 1)) > 1 and int(_tag(picture, _BITS, 8)) > 8
    return False


def read_deep_colour(picture: PIL.Image.Image, encoded: Encoded, frame: int) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Colours (H, W, 3), or grey (H, W), in [0, 1], multiplied by nothing; alpha (H, W) or None.

    A TIFF comes out upright, since OpenCV follows its orientation tag; a PNG as stored.

    Arguments:
        picture: opened and loaded by Pillow, which checks what OpenCV does not: that no data are missing.
    Raises:
        ImageError: UNSUPPORTED, DECODE_FAILED.
    """
    import cv2

    if picture.format == "TIFF":
        _check_layout(picture, encoded)
    data = np.frombuffer(encoded.data, np.uint8)
    ready, pages = cv2.imdecodemulti(data, cv2.IMREAD_UNCHANGED, range=(frame, frame + 1)) if frame else (True, None)
    stored = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if pages is None else pages[0] if ready and pages else None
    if stored is None or stored.dtype != np.uint16 or stored.ndim != 3 or stored.shape[2] not in (3, 4):
        raise encoded.refused("DECODE_FAILED", "its 16-bit colours cannot be decoded; save it with 8 bits")
    samples = np.divide(stored, np.float32(65535), dtype=np.float32)
    colour, alpha = samples[..., 2::-1], samples[..., 3] if samples.shape[2] == 4 else None
    if picture.format == "PNG" and encoded.data[25] == _PNG_GREY_ALPHA:
        colour = colour[..., 0]
    extra = int(_tag(picture, _EXTRA, _NO_ALPHA)) if picture.format == "TIFF" else None
    if extra == _NO_ALPHA:
        alpha = None
    if extra == _ASSOCIATED and alpha is not None:
        colour = np.divide(colour, alpha[..., None], out=np.zeros_like(colour), where=alpha[..., None] > 0).clip(0, 1)
    return colour, alpha


def _check_layout(picture: PIL.Image.Image, encoded: Encoded) -> None:
    told = tuple(int(_tag(picture, tag, 1)) for tag in (_PHOTOMETRIC, _PLANES, _FORMAT))
    if told != (_RGB, _CONTIGUOUS, _UNSIGNED) or int(_tag(picture, _BITS, 8)) != 16 or int(_tag(picture, _SAMPLES, 1)) not in (3, 4):
        raise encoded.refused(
            "UNSUPPORTED", "of TIFFs with more than 8 bits and several samples, only RGB of 16 bits, pixel by pixel, is read"
        )


def _tag(picture: PIL.Image.Image, number: int, otherwise: int) -> Any:
    """A TIFF tag's first value."""
    value = picture.tag_v2.get(number, otherwise)  # type: ignore[attr-defined]
    return (value[0] if len(value) else otherwise) if isinstance(value, tuple) else value
