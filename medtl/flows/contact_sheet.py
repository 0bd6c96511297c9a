"""A batch of images as one picture to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from medtl.files import write_atomically

TILE, CAPTION, COLUMNS = 160, 18, 8


def write_contact_sheet(images: NDArray[np.uint8], captions: Sequence[str], path: Path) -> None:
    """Write (B, S, S, C) images, grey or RGB, as rows of tiles with a caption under each; `path` ends in .png."""
    rows = -(-len(images) // COLUMNS)
    sheet = np.full((rows * (TILE + CAPTION), COLUMNS * TILE, 3), 255, np.uint8)
    for place, (image, caption) in enumerate(zip(images, captions, strict=True)):
        top, left = place // COLUMNS * (TILE + CAPTION), place % COLUMNS * TILE
        tile = cv2.resize(image, (TILE, TILE), interpolation=cv2.INTER_AREA)
        sheet[top : top + TILE, left : left + TILE] = np.atleast_3d(tile)
        plain = caption.encode("ascii", "replace").decode()[:22]  # the font knows no other letters
        cv2.putText(sheet, plain, (left + 3, top + TILE + CAPTION - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    encoded = cv2.imencode(".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))[1].tobytes()
    write_atomically(path, lambda temporary: temporary.write_bytes(encoded) and None)
