"""Fourier amplitude mixing: source images in the target's style (FDA: Yang & Soatto, CVPR 2020).

Of each source image, the amplitudes of the lowest frequencies are those of a training image of the target, drawn by the seed for each; the
phases, which hold what is where, stay. It mends slow shading, exposure and contrast, not fine texture or noise. The source is changed
and not the target, so that the released model takes the target's images as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from medtl.adaptation import SOURCE_DATA, MethodSettings

NEEDS = (SOURCE_DATA,)
KIND = "inputs"
Images = NDArray[np.uint8]
Places = NDArray[np.int64]


class Settings(MethodSettings):
    name: Literal["fourier"] = "fourier"
    weight: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Share of the target's amplitude, the rest being the image's own."""
    band: Annotated[float, Field(gt=0, le=0.5)] = 0.05
    """Half the side of the square of low frequencies, as a share of the image's side (the paper's beta)."""


def build(
    settings: Settings, read: Callable[[Places], Images], source: Places, target: Places, seed: int
) -> Callable[[Images, Places], Images]:
    """The contract of `medtl.adaptation.methods`."""

    def show(images: Images, positions: Places) -> Images:
        partners = [np.random.Generator(np.random.Philox(key=[seed, int(position)])).integers(len(target)) for position in positions]
        return mixed(images, read(target[partners]), settings.band, settings.weight)

    return show


def mixed(images: Images, others: Images, band: float, weight: float) -> Images:
    """(B, S, S, C) with the low amplitudes of `others` (B, S, S, C)."""
    spectrum, style = (np.fft.fft2(each.astype(np.float32), axes=(1, 2)) for each in (images, others))
    side = images.shape[1]
    reach = max(0, int(band * side))
    low = np.abs(np.fft.fftfreq(side, 1 / side)) <= reach
    here = (low[:, None] & low[None, :])[None, :, :, None]
    amplitude = np.where(here, (1 - weight) * np.abs(spectrum) + weight * np.abs(style), np.abs(spectrum))
    found = np.fft.ifft2(amplitude * np.exp(1j * np.angle(spectrum)), axes=(1, 2)).real
    return np.clip(np.rint(found), 0, 255).astype(np.uint8)
