"""Views that make a picture worse, as other devices, hands and archives do: after Hendrycks & Dietterich (ICLR 2019)."""

from __future__ import annotations

import zlib

import cv2
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
QUALITY = 10
"""Of JPEG, 1 … 100."""


def blur(picture: Bytes) -> Bytes:
    """Gaussian, sigma 1 % of the longer side."""
    sigma = 0.01 * max(picture.shape[:2])
    blurred = cv2.GaussianBlur(picture, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, np.uint8).reshape(picture.shape)


def exposed(picture: Bytes, factor: float) -> Bytes:
    """Every grey level times `factor`; what is beyond white is white."""
    return np.asarray(np.clip(np.rint(picture * factor), 0, 255), np.uint8)


def jpeg(picture: Bytes) -> Bytes:
    """Written as a JPEG of quality :data:`QUALITY`, and read again."""
    grey = picture.shape[2] == 1
    written = cv2.imencode(".jpg", picture if grey else picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
    read = cv2.imdecode(written, cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR)
    assert read is not None
    return np.asarray(read[..., None] if grey else read[..., ::-1], np.uint8)


def noisy(picture: Bytes, share: float) -> Bytes:
    """Gaussian noise with a standard deviation of this share of the range; the same picture gets the same, a grey one in all channels."""
    grey = (picture == picture[..., :1]).all()
    seed = zlib.crc32(np.ascontiguousarray(picture).tobytes())
    shape = (*picture.shape[:2], 1) if grey else picture.shape
    noise = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    return np.clip(np.rint(picture + 255 * share * noise), 0, 255).astype(np.uint8)
