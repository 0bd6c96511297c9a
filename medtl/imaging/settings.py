"""What the deterministic preprocessing does to every image."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from medtl.registry import Settings


class Volume(Settings):
    """What is shown of a volume (NIfTI) for which no slice was named: by the table's `frame`, or in the address (`scan.nii.gz/12`)."""

    show: Literal["named", "middle", "mean", "maximum"] = "named"
    """`named`: nothing, such a volume is refused; the `middle` slice; the `mean` or the `maximum` of all slices (a projection)."""
    plane: Literal["stored", "axial", "coronal", "sagittal"] = "stored"
    """Which slices: those of the last axis, counted as `stored`; or of an anatomical plane, which the affine tells, counted from the
    patient's head (axial), front (coronal) or right (sagittal)."""


NAMED = Volume()
"""A volume without a named slice is refused."""


class ImageSettings(Settings):
    """Everything that decides the network's input; part of the store's key and of the model package."""

    size: Annotated[int, Field(ge=16, le=2048)] = 224
    """Side of the square network input, in pixels."""
    fit: Literal["pad", "crop", "squeeze"] = "pad"
    """How a picture becomes square: `pad` the short side with black, centre-`crop` the long side, or `squeeze` (aspect lost)."""
    intensity: Literal["as-read", "percentile"] = "as-read"
    """`as-read`: [0, 1] from the reader; `percentile`: the image's own 0.5 … 99.5 percentile range is stretched to [0, 1]."""
    channels: Literal[1, 3] = 3
    """1 = grey (colour becomes luminance), 3 = RGB (grey is repeated)."""
    decode: Literal["exact", "reduced"] = "exact"
    """`reduced`: JPEG 2000 and JPEG are decoded without the detail that a picture of twice `size` has no room for, many times faster.
    The input changes by 0.001 to 0.004 of the range in the mean and by up to 0.06 in single pixels; hashes and measurements are of the
    reduced picture."""
    volume: Volume = NAMED
    """What is shown of a volume whose slice was not named; by default it is refused."""
    largest_pixels: Annotated[int, Field(ge=1)] = 100_000_000
    """Images whose header claims more pixels (rows × columns × frames) are not decoded."""
    timeout: Annotated[float, Field(gt=0)] = 30.0
    """Seconds that decoding one image may take before it is quarantined."""
    quarantine_share: Annotated[float, Field(ge=0, le=1)] = 0.02
    """The run stops when more than this share of a cohort's images cannot be used."""

    @property
    def at_least(self) -> int | None:
        """Pixels of the shorter side that decoding has to keep; None: all."""
        return 2 * self.size if self.decode == "reduced" else None
