"""All stress views by name. A new one is one entry in :data:`VIEWS`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medtl.stress import quality, regions

Bytes = NDArray[np.uint8]
Asks = Literal["elsewhere", "marks", "cost"]
"""What a view is for. `elsewhere`: what the finding cannot be in is all that is left, so whatever still ranks is no finding. `marks`: what
was written on the picture is gone. `cost`: how much a worse picture costs."""


@dataclass(frozen=True)
class View:
    """One way to change a picture."""

    name: str
    """As it stands in the column `view` of the predictions."""
    words: str
    """What was done to the picture, after "with" or "of": `a blur of 1 % of the side`."""
    asks: Asks
    change: Callable[[Bytes], Bytes]
    """uint8 (H, W, C) → the same shape."""
    family: str = ""
    """Views that differ in strength alone, the weakest first, share it."""

    def show(self, images: Bytes) -> Bytes:
        """uint8 (B, S, S, C) → the same; an image's view depends on that image alone, and black padding around it stays."""
        shown = images.copy()
        for image in shown:
            part = own_part(image)
            if part is not None:
                image[part] = self.change(image[part])
        return shown


NOISE = (0.02, 0.04, 0.08, 0.16, 0.32)
"""Standard deviations, as shares of the range: each twice the one before."""

VIEWS = (
    View("border-only", "all but the outer eighth on each side blanked", "elsewhere", regions.border_only),
    View("centre-masked", "the middle quarter of the area blanked", "cost", regions.centre_masked),
    View("markers-removed", "small marks outside the middle painted over", "marks", regions.markers_removed),
    View("crop", "the outer tenth on each side cut off", "cost", regions.crop),
    View("blur", "a blur (sigma 1 % of the side)", "cost", quality.blur),
    View("exposure-up", "an exposure a third brighter", "cost", functools.partial(quality.exposed, factor=4 / 3)),
    View("exposure-down", "an exposure a third darker", "cost", functools.partial(quality.exposed, factor=2 / 3)),
    View("jpeg", "JPEG at quality 10", "cost", quality.jpeg),
    *(
        View(f"noise-{level}", f"noise of {100 * share:.0f} % of the range", "cost", functools.partial(quality.noisy, share=share), "noise")
        for level, share in enumerate(NOISE, start=1)
    ),
)
BY_NAME = {view.name: view for view in VIEWS}


def own_part(image: Bytes) -> tuple[slice, slice] | None:
    """Rows and columns of the picture within its black padding (`fit: pad`); None of an image that is black altogether."""
    lit = image.max(axis=2) > 0
    rows, columns = np.flatnonzero(lit.any(axis=1)), np.flatnonzero(lit.any(axis=0))
    if not len(rows):
        return None
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
