"""The reader as a MONAI `ImageReader`, so that any MONAI pipeline reads images as medtl does: `LoadImage(reader=MedtlReader)`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from monai.data import ImageReader
from numpy.typing import NDArray

from medtl.errors import MedtlError
from medtl.imaging.image import Image
from medtl.imaging.reader import LARGEST_PIXELS, read_location
from medtl.imaging.settings import NAMED, Volume
from medtl.imaging.sources import Location, parse


class MedtlReader(ImageReader):
    """Upright (C, H, W) float32 in [0, 1]; the receipt stands in the metadata under `receipt`.

    Decoding happens in `get_data`, on purpose: MONAI's `LoadImage` answers an error in `read` by trying its other readers, which
    would read the same file another way (transposed, not inverted), and would wrap our typed error.
    """

    def __init__(self, largest_pixels: int = LARGEST_PIXELS, volume: Volume = NAMED, at_least: int | None = None):
        super().__init__()
        self.at_least = at_least
        self.volume = volume
        self.largest_pixels = largest_pixels

    def verify_suffix(self, filename: Sequence[str | Path] | str | Path) -> bool:
        """Formats are told by content, so any name will do."""
        return True

    def read(self, data: Sequence[str | Path] | str | Path, **_: Any) -> Location:
        """Find the file that an address names (see :mod:`medtl.imaging.sources`); nothing is decoded yet."""
        addresses = [data] if isinstance(data, str | Path) else list(data)
        if len(addresses) != 1:
            raise MedtlError(f"MedtlReader reads one image at a time, {len(addresses)} were given")
        return parse(addresses[0])

    def get_data(self, img: Location) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Decode: pixels and metadata (affine in mm over (row, column), channel first).

        Raises:
            ImageError: see :func:`medtl.imaging.reader.read_image`.
        """
        image = read_location(img, self.largest_pixels, self.volume, self.at_least)
        return image.pixels, _metadata(image)


def _metadata(image: Image) -> dict[str, Any]:
    row, column = image.receipt.facts.spacing or (1.0, 1.0)
    return {
        "affine": np.diag([row, column, 1.0, 1.0]),
        "original_channel_dim": 0,
        "spatial_shape": np.asarray(image.size),
        "receipt": asdict(image.receipt),  # plain values: LoadImage walks through the metadata and knows no others
    }
