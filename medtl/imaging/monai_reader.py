"""The reader as a MONAI `ImageReader`, so that any MONAI pipeline reads images as medtl does: `LoadImage(reader=MedtlReader)`.

And the whole preprocessing as a MONAI `Compose`. Importing this imports MONAI (ten seconds), so nothing of medtl's own does.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from monai.data import ImageReader
from monai.transforms import Compose, LoadImage
from numpy.typing import NDArray

from medtl.errors import MedtlError
from medtl.imaging.image import Image
from medtl.imaging.preprocessing import ToPlanes, steps
from medtl.imaging.reader import LARGEST_PIXELS, read_location
from medtl.imaging.settings import NAMED, ImageSettings, Volume
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


def pipeline(settings: ImageSettings) -> Compose:
    """The whole preprocessing as MONAI has it: an address (see :mod:`medtl.imaging.sources`) → uint8 (size, size, channels)."""
    reader = MedtlReader(settings.largest_pixels, settings.volume, settings.at_least)
    return Compose([_loader(reader), ToPlanes(), *steps(settings)])


def _loader(reader: MedtlReader) -> LoadImage:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # LoadImage sets up all of MONAI's readers, which warn about what is not installed
        loader = LoadImage(reader=reader, dtype=np.float32, expanduser=False)
    loader.readers = [reader]  # and none of those may ever be tried on the same bytes
    return loader


def _metadata(image: Image) -> dict[str, Any]:
    row, column = image.receipt.facts.spacing or (1.0, 1.0)
    return {
        "affine": np.diag([row, column, 1.0, 1.0]),
        "original_channel_dim": 0,
        "spatial_shape": np.asarray(image.size),
        "receipt": asdict(image.receipt),  # plain values: LoadImage walks through the metadata and knows no others
    }
