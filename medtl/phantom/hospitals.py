"""What differs between the two hospitals: how they take, crop, mark and store their images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

AP_SHARE = {"a": 0.15, "b": 0.6}
"""Hospital b images many patients in bed."""


@dataclass(frozen=True)
class Device:
    """A detector and how it writes its files."""

    name: str
    modality: Literal["CR", "DX"]
    bits: int
    """BitsStored; 16 are allocated."""
    photometric: Literal["MONOCHROME1", "MONOCHROME2"]
    windowed: bool
    """Stored values reach beyond what is shown, and WindowCenter and WindowWidth say what is (a must for DX); else
    minimum … maximum is shown."""
    syntax: UID

    @property
    def sop_class(self) -> UID:
        return DigitalXRayImageStorageForPresentation if self.modality == "DX" else ComputedRadiographyImageStorage


@dataclass(frozen=True)
class XrayRoom:
    """How a hospital takes chest radiographs."""

    photons: float
    """Per pixel of 1 mm² without a patient; fewer are noisier."""
    scatter: float
    """Share of the primary that arrives again, spread out: less contrast."""
    aspect: float
    """Columns / rows."""
    collimation: tuple[float, float]
    """Least and largest black border, as a share of the side."""
    side: str
    """The lead letter: L beside the patient's left shoulder, or R beside his right hip."""
    latitude: float
    """Shown grey = grey ** latitude: above 1 darker."""
    devices: tuple[Device, ...]


XRAY_ROOMS = {
    "a": XrayRoom(
        photons=6000, scatter=0.12, aspect=1.0, collimation=(0.0, 0.015), side="L", latitude=1.0,
        devices=(
            Device("a1", "DX", 12, "MONOCHROME2", True, ExplicitVRLittleEndian),
            Device("a2", "DX", 16, "MONOCHROME2", True, JPEG2000Lossless),
            Device("a3", "CR", 14, "MONOCHROME1", False, JPEGLSLossless),
        ),
    ),
    "b": XrayRoom(
        photons=900, scatter=0.35, aspect=0.86, collimation=(0.02, 0.07), side="R", latitude=1.25,
        devices=(
            Device("b1", "CR", 10, "MONOCHROME1", True, RLELossless),
            Device("b2", "CR", 12, "MONOCHROME1", False, JPEGLSLossless),
            Device("b3", "CR", 10, "MONOCHROME2", False, ImplicitVRLittleEndian),
            Device("b4", "DX", 12, "MONOCHROME1", True, JPEG2000Lossless),
        ),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Camera:
    """How a hospital photographs lesions."""

    light: tuple[float, float, float]
    """Factors of red, green, blue: the colour of the lamp."""
    vignette: float
    """How dark the corners are: 1 is black, as through a dermatoscope's tube."""
    hairs: int
    """At most so many."""
    noise: float
    aspect: float
    """Rows / columns."""
    format: Literal["png", "jpg"]


CAMERAS = {
    "a": Camera(light=(1.0, 1.0, 1.0), vignette=0.85, hairs=3, noise=0.010, aspect=0.75, format="png"),
    "b": Camera(light=(1.06, 0.97, 0.86), vignette=0.12, hairs=8, noise=0.022, aspect=0.8, format="jpg"),
}
