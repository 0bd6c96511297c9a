"""In words, how a picture's bytes were compressed: two hospitals, or two classes, may differ in nothing else."""

from __future__ import annotations

import numpy as np
import PIL.Image
from PIL import JpegImagePlugin

_SUBSAMPLING = {0: " 4:4:4", 1: " 4:2:2", 2: " 4:2:0"}
_ANNEX_K = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
"""Luminance quantisation of ITU-T T.81 (JPEG), table K.1, row by row."""


def encoding_of(picture: PIL.Image.Image) -> str:
    """Such as `JPEG 4:2:0 quality 90`, `JPEG progressive quality 75`, `TIFF tiff_lzw`; for other formats their name.

    The quality is libjpeg's scale, estimated from the quantisation table; encoders with tables of their own come out near it.
    """
    name = "JPEG" if picture.format == "MPO" else str(picture.format)
    if name == "JPEG":
        progressive = " progressive" if picture.info.get("progressive") else ""
        return f"JPEG{progressive}{_SUBSAMPLING.get(JpegImagePlugin.get_sampling(picture), '')}{_quality(picture)}"
    return f"TIFF {picture.info['compression']}" if name == "TIFF" and picture.info.get("compression") else name


def _quality(picture: PIL.Image.Image) -> str:
    tables = getattr(picture, "quantization", None) or {}
    table, annex = np.asarray(tables.get(0, ()), np.float64), np.asarray(_ANNEX_K)
    if table.shape != annex.shape or not (whole := table < 255).any():  # 255 is as far as 8 bits go, whatever was meant
        return ""
    scale = 100 * float(table[whole].sum() / annex[whole].sum())
    return f" quality {round((200 - scale) / 2 if scale <= 100 else 5000 / scale)}"
