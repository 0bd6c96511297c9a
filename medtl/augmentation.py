"""Augmentation settings (the sampler and its cv2 kernel follow in this file)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from medtl.registry import Settings


class AugmentationSettings(Settings):
    """Ranges of the random changes; each is drawn anew per image and epoch, uniformly, from the run's seed."""

    flip: Literal["none", "horizontal", "both"] = "none"
    """Mirror with probability 1/2: `horizontal` left-right, `both` also up-down. Off by default: a chest has sides."""
    rotate: Annotated[float, Field(ge=0, le=180)] = 10.0
    """Degrees, ± ."""
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.15
    """Zoom between 1/(1+s) and 1+s."""
    translate: Annotated[float, Field(ge=0, le=0.5)] = 0.06
    """Shift, ±, as a share of the side."""
    brightness: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Added, ±, on the [0, 1] range."""
    contrast: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Factor around the middle grey between 1 - c and 1 + c."""
    fill: Literal["black", "mirror"] = "black"
    """What fills the corners that rotation and shift uncover."""
