"""From a thorax to what a hospital's detector shows: exposure, scatter, noise, collimation, letters; and opacities in the lungs."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from medtl.phantom.cases import Case
from medtl.phantom.chance import Floats, clouds, stream
from medtl.phantom.hospitals import XRAY_ROOMS, Device, XrayRoom
from medtl.phantom.settings import PhantomSettings
from medtl.phantom.thorax import LUNG, SOFT, Thorax, draw_anatomy, draw_pose, project
from medtl.phantom.truth import Place


@dataclass(frozen=True)
class Radiograph:
    """One chest image before it is stored."""

    shown: Floats
    """(H, W): 0 is black and 1 white on the display; what lies beyond is stored but not shown."""
    places: tuple[Place, ...]
    per_cm: float
    device: Device


def radiograph(case: Case, settings: PhantomSettings, findings: bool = True) -> Radiograph:
    """The image of one case. Without `findings`, everything but the opacities is the same, noise included."""
    room = XRAY_ROOMS[settings.hospital]
    own = (settings.seed, "chest", settings.hospital)
    anatomy = draw_anatomy(stream(*own, case.name.split("-")[0], "anatomy"), case.age, case.sex)
    chance = stream(*own, case.name, "image")
    shape = (settings.size, round(settings.size * room.aspect))
    thorax = project(anatomy, draw_pose(chance, case.view), shape, chance)
    healthy = thorax.attenuation()
    places: tuple[Place, ...] = ()
    attenuation = healthy
    if findings and case.truth == "pneumonia":
        attenuation, places = _with_opacities(thorax, settings.contrast, stream(*own, case.name, "opacities"))
    shown = _developed(attenuation, healthy, room, thorax.per_cm, stream(*own, case.name, "detector"))
    shown = _framed(shown, room, case, stream(*own, case.name, "frame"))
    device = room.devices[int(stream(*own, case.name, "device").integers(len(room.devices)))]
    return Radiograph(shown, places, thorax.per_cm, device)


def _with_opacities(thorax: Thorax, contrast: float, chance: np.random.Generator) -> tuple[Floats, tuple[Place, ...]]:
    """One to three patches in which fluid takes the place of air; each has its middle where there is much lung."""
    lung, per_cm = thorax.lung, thorax.per_cm
    filled = np.zeros_like(lung)
    where = np.flatnonzero(lung > 0.65 * lung.max())
    places = []
    for _ in range(int(chance.choice([1, 2, 3], p=[0.5, 0.3, 0.2]))):
        y, x = np.unravel_index(int(where[chance.integers(len(where))]), lung.shape)
        axes = np.sort(chance.uniform(3.2, 5.4, 2))[::-1] * per_cm
        strength = float(min(1.0, contrast * chance.uniform(0.7, 1.0)))
        place = Place("opacity", float(x), float(y), float(axes[0]), float(axes[1]), float(chance.uniform(0, 180)), strength)
        mottled = 0.55 + 0.75 * clouds(chance, (lung.shape[0], lung.shape[1]), 1.2 * per_cm)
        filled = np.maximum(filled, strength * np.clip(mottled * np.clip(1 - place.radius2(lung.shape), 0, 1), 0, 1))
        places.append(place)
    return np.asarray(thorax.attenuation() + (SOFT - LUNG) * filled * lung, np.float32), tuple(places)


def _developed(attenuation: Floats, healthy: Floats, room: XrayRoom, per_cm: float, chance: np.random.Generator) -> Floats:
    """Detector signal exp(-attenuation) with scatter and quantum noise, shown as its logarithm on the scale of the healthy image."""
    clean, signal = (_with_scatter(np.exp(-part), room, per_cm) for part in (healthy, attenuation))
    photons = room.photons * (10 / per_cm) ** 2
    noisy = signal + np.sqrt(signal / photons) * chance.standard_normal(signal.shape, dtype=np.float32)
    dense = -np.log(np.maximum(cv2.GaussianBlur(noisy, (0, 0), 0.55), 1e-4))
    patient = -np.log(clean)[healthy > 0.3]
    low, high = np.percentile(patient, [3, 99])
    low -= 0.12 * (high - low)  # the lungs are dark, but not black
    grey = (dense - low) / (high - low)
    return np.asarray(np.where(grey > 0, np.maximum(grey, 0) ** room.latitude, grey), np.float32)


def _with_scatter(primary: Floats, room: XrayRoom, per_cm: float) -> Floats:
    """A wide blur, computed on a small copy."""
    small = cv2.resize(primary, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    spread = cv2.GaussianBlur(small, (0, 0), 3.5 * per_cm / 4)
    return np.asarray(primary + room.scatter * cv2.resize(spread, primary.shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def _framed(shown: Floats, room: XrayRoom, case: Case, chance: np.random.Generator) -> Floats:
    """Letters, and the black of the collimator's blades."""
    rows, columns = shown.shape
    top, bottom, left, right = (1 + int(chance.uniform(*room.collimation) * rows) for _ in range(4))
    unit = rows / 192
    across, down = (0.87, 0.17) if room.side == "L" else (0.10, 0.90)
    shown = _lettered(shown, room.side, across, down, 0.62 * unit)
    if case.view == "AP" and room.side == "R":
        shown = _lettered(shown, "AP PORTABLE", 0.56, 0.11, 0.28 * unit)
    if case.marker:
        shown = _lettered(shown, "+", 0.10, 0.14, 0.7 * unit)
    inside = np.zeros_like(shown)
    inside[top : rows - bottom, left : columns - right] = 1
    return np.where(inside > 0, shown, np.minimum(shown, 0)).astype(np.float32)


def _lettered(shown: Floats, text: str, across: float, down: float, scale: float) -> Floats:
    """White letters whose lower left corner lies at these shares of the sides."""
    canvas = np.zeros(shown.shape, np.uint8)
    place = (round(across * shown.shape[1]), round(down * shown.shape[0]))
    cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, max(1, round(2 * scale)), cv2.LINE_AA)
    share = canvas.astype(np.float32) / 255
    return shown * (1 - share) + 1.02 * share
