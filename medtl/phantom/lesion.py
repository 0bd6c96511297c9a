"""A skin lesion: the looks of seven diagnoses, told apart by asymmetry, border irregularity, colour variegation and a few details."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import cv2
import numpy as np

from medtl.phantom.chance import Floats, clouds

Colour = tuple[float, ...]
"""Red, green, blue in 0 … 1."""


@dataclass(frozen=True)
class Look:
    """How one diagnosis looks. Shares and colours, so that looks can be mixed."""

    asymmetry: float
    """0 … 1: how far the outline and the colours lean to one side."""
    border: float
    """0 … 1: how jagged the outline is."""
    variegation: float
    """0 … 1: how much of the lesion has the second and third colour."""
    blur: float
    """Width of the border, as a share of the radius."""
    radius: float
    """Share of the picture's shorter side."""
    first: Colour
    second: Colour
    third: Colour
    centre: Colour
    """Colour of the middle; as `first` where there is no such thing."""
    dots: float
    """0 … 1: share of the lesion with dots (cysts, scales, lacunae, globules)."""
    dot: Colour
    vessels: float
    """0 … 1: fine red lines."""


TRAITS = ("asymmetry", "border", "variegation")
"""What drives the diagnosis, and stands in the truth table."""

_BROWN, _DARK, _BLACK, _GREY, _RED = (0.52, 0.33, 0.22), (0.33, 0.19, 0.14), (0.16, 0.11, 0.11), (0.42, 0.44, 0.50), (0.70, 0.32, 0.30)
_TAN, _PINK, _PURPLE, _WHITE = (0.68, 0.49, 0.33), (0.83, 0.55, 0.51), (0.45, 0.12, 0.25), (0.93, 0.86, 0.82)

LOOKS = {
    "nevus": Look(0.12, 0.10, 0.10, 0.16, 0.25, _BROWN, _DARK, _TAN, _BROWN, 0.0, _DARK, 0.0),
    "melanoma": Look(0.75, 0.75, 0.85, 0.12, 0.32, _DARK, _BLACK, _GREY, _DARK, 0.05, _BLACK, 0.0),
    "benign-keratosis": Look(0.30, 0.45, 0.25, 0.05, 0.30, _TAN, _BROWN, _DARK, _TAN, 0.55, _WHITE, 0.0),
    "basal-cell-carcinoma": Look(0.40, 0.30, 0.45, 0.25, 0.28, _PINK, _GREY, _WHITE, _PINK, 0.25, _GREY, 1.0),
    "actinic-keratosis": Look(0.45, 0.60, 0.35, 0.50, 0.33, _PINK, _RED, _TAN, _PINK, 0.60, _WHITE, 0.2),
    "vascular": Look(0.20, 0.20, 0.45, 0.06, 0.22, _RED, _PURPLE, _RED, _RED, 0.35, _PURPLE, 0.0),
    "dermatofibroma": Look(0.12, 0.15, 0.10, 0.35, 0.24, _BROWN, _TAN, _PINK, _WHITE, 0.0, _WHITE, 0.0),
}  # fmt: skip
"""After the dermoscopic criteria in Kittler et al., J Am Acad Dermatol 2016, much simplified."""


def look_of(diagnosis: str, contrast: float) -> Look:
    """The look of a diagnosis: at contrast 1 as listed, nearer to the mean of all looks below."""
    mixed: dict[str, Any] = {}
    for part in fields(Look):
        mean = np.mean([getattr(look, part.name) for look in LOOKS.values()], axis=0)
        value = np.clip(mean + contrast * (np.asarray(getattr(LOOKS[diagnosis], part.name)) - mean), 0, 1)
        mixed[part.name] = tuple(value.tolist()) if value.ndim else float(value)
    return Look(**mixed)


def vary(look: Look, chance: np.random.Generator) -> Look:
    """One lesion of this look."""
    traits = {name: float(np.clip(getattr(look, name) + chance.normal(0, 0.07), 0.01, 1)) for name in TRAITS}
    radius, blur = look.radius * float(chance.uniform(0.8, 1.15)), max(0.03, look.blur * float(chance.uniform(0.7, 1.4)))
    tint = chance.normal(0, 0.025, 3)
    colours = ("first", "second", "third", "centre", "dot")
    tinted = {name: tuple(np.clip(np.add(getattr(look, name), tint), 0, 1).tolist()) for name in colours}
    changed: dict[str, Any] = {**traits, "radius": radius, "blur": blur, **tinted}
    return replace(look, **changed)


@dataclass(frozen=True)
class Paint:
    """A lesion as colours (H, W, 3) and cover (H, W) in 0 … 1, to be laid on skin."""

    colour: Floats
    cover: Floats


def paint(look: Look, shape: tuple[int, int], middle: tuple[float, float], turn: float, chance: np.random.Generator) -> Paint:
    """Draw one lesion; `middle` in pixels (x, y), `turn` in radians."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    x, y = x - middle[0], y - middle[1]
    angle = np.arctan2(y, x) - turn
    radius = look.radius * min(shape)
    reach = np.hypot(x, y) / (radius * _outline(angle, look, chance))
    cover = 1 / (1 + np.exp(np.clip((reach - 1) / (look.blur / 4), -30, 30)))
    return Paint(_colours(look, reach, angle, radius, shape, chance), np.asarray(cover, np.float32))


def _outline(angle: Floats, look: Look, chance: np.random.Generator) -> Floats:
    """Radius by angle, 1 on average: low waves lean the shape, high ones make it jagged."""
    outline = 1 + 0.12 * np.cos(2 * angle)
    for waves in (1, 2, 3):
        outline = outline + 0.24 * look.asymmetry / waves * np.cos(waves * angle + chance.uniform(0, 2 * np.pi))
    for waves in (5, 7, 9, 12, 16):
        outline = outline + 0.10 * look.border * chance.uniform(0.5, 1) * np.cos(waves * angle + chance.uniform(0, 2 * np.pi))
    return np.asarray(np.clip(outline, 0.35, 1.8), np.float32)


def _colours(look: Look, reach: Floats, angle: Floats, radius: float, shape: tuple[int, int], chance: np.random.Generator) -> Floats:
    """(H, W, 3): first colour, patches of the second and third (more on one side where it is asymmetric), middle, dots, vessels."""
    lean = 0.22 * look.asymmetry * np.cos(angle + chance.uniform(0, 2 * np.pi))
    colour = np.broadcast_to(np.array(look.first, np.float32), (*shape, 3))
    for other, share in ((look.second, 0.62), (look.third, 0.45)):
        patches = clouds(chance, shape, 0.55 * radius) + lean
        colour = _blend(colour, other, _over(patches, 1 - share * look.variegation - 0.1, 0.10))
    colour = _blend(colour, look.centre, np.clip(1.1 - 2.0 * reach, 0, 1))
    fine = clouds(chance, shape, max(2.0, radius / 9)) - 0.5
    colour = colour * (1 + 0.16 * fine[..., None])
    dots = _over(clouds(chance, shape, max(2.5, radius / 5)), 1.0 - 0.42 * look.dots, 0.05) * (look.dots > 0.08)
    colour = _blend(colour, look.dot, 0.8 * dots)
    return _blend(colour, (0.75, 0.16, 0.18), 0.75 * look.vessels * _lines(shape, radius, reach, chance))


def _over(field: Floats, level: float, soft: float) -> Floats:
    return np.asarray(1 / (1 + np.exp(np.clip(-(field - level) / (soft / 3), -30, 30))), np.float32)


def _blend(colour: Floats, other: Colour, share: Floats) -> Floats:
    return np.asarray(colour + share[..., None] * (np.array(other, np.float32) - colour), np.float32)


def _lines(shape: tuple[int, int], radius: float, reach: Floats, chance: np.random.Generator) -> Floats:
    """Branching fine lines within the lesion."""
    canvas = np.zeros(shape, np.uint8)
    rows, columns = np.nonzero(reach < 0.95)
    for start in chance.integers(0, max(1, len(rows)), 7):
        place, heading = np.array([columns[start], rows[start]], float), chance.uniform(0, 2 * np.pi)
        points = [place]
        for _ in range(9):
            heading += chance.normal(0, 0.45)
            points.append(points[-1] + radius * 0.11 * np.array([np.cos(heading), np.sin(heading)]))
        cv2.polylines(canvas, [np.rint(np.array(points) * 8).astype(np.int32)], False, 255, max(1, round(radius / 40)), cv2.LINE_AA, 3)
    return canvas.astype(np.float32) / 255
