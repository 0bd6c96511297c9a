"""A photograph of a lesion on skin, as one of the two hospitals takes it."""

from __future__ import annotations

import io
from dataclasses import dataclass

import cv2
import numpy as np
import PIL.Image
from numpy.typing import NDArray
from PIL.PngImagePlugin import PngInfo

from medtl.phantom.cases import Case
from medtl.phantom.chance import Floats, clouds, stream
from medtl.phantom.hospitals import CAMERAS, Camera
from medtl.phantom.lesion import Look, look_of, paint, vary
from medtl.phantom.settings import PhantomSettings
from medtl.phantom.truth import Place

_COMMENT = "synthetic: a computed phantom, no patient"
_PALE, _OLIVE = np.array([0.90, 0.74, 0.66]), np.array([0.66, 0.48, 0.37])


@dataclass(frozen=True)
class Photograph:
    """One picture before it is stored: RGB (H, W, 3) of 8 bits."""

    pixels: NDArray[np.uint8]
    place: Place
    look: Look
    format: str


def photograph(case: Case, settings: PhantomSettings) -> Photograph:
    """The image of one case: all images of a lesion show the same lesion, turned, moved and lit anew."""
    camera = CAMERAS[settings.hospital]
    own = (settings.seed, "lesions", settings.hospital)
    skin = stream(*own, case.name.split("-")[0], "skin")
    tone = skin.beta(1.3, 3.5)
    shape = (round(settings.size * camera.aspect), settings.size)
    chance = stream(*own, case.name, "image")
    lesion = stream(*own, case.lesion, "lesion")
    look = vary(look_of(case.truth, settings.contrast), lesion)
    middle = (shape[1] * (0.5 + chance.normal(0, 0.03)), shape[0] * (0.5 + chance.normal(0, 0.03)))
    painted = paint(look, shape, middle, chance.uniform(0, 2 * np.pi), lesion)
    picture = _skin(shape, _PALE + tone * (_OLIVE - _PALE), chance)
    picture = picture + (painted.cover * (0.92 - 0.1 * tone))[..., None] * (painted.colour - picture)
    picture = _haired(picture, camera, chance)
    if case.marker:
        picture = _inked(picture, stream(*own, case.name, "ink"))
    pixels = _taken(picture, camera, chance)
    return Photograph(pixels, _place(painted.cover, settings.contrast), look, camera.format)


def encode(picture: Photograph) -> bytes:
    """The whole file, PNG or JPEG."""
    file = io.BytesIO()
    image = PIL.Image.fromarray(picture.pixels)
    if picture.format == "png":
        said = PngInfo()
        said.add_text("Comment", _COMMENT)
        image.save(file, "PNG", compress_level=4, pnginfo=said)
    else:
        image.save(file, "JPEG", quality=92, subsampling=0, comment=_COMMENT.encode())
    return file.getvalue()


def _skin(shape: tuple[int, int], tone: NDArray[np.float64], chance: np.random.Generator) -> Floats:
    """Skin with blotches and fine lines."""
    blotches = clouds(chance, shape, shape[1] / 3) - 0.5
    lines = clouds(chance, shape, 3.0) - 0.5
    shade = 1 + 0.07 * blotches + 0.05 * lines
    redness = np.array([0.0, -0.04, -0.04]) * (clouds(chance, shape, shape[1] / 5)[..., None] - 0.5)
    return np.asarray(tone * shade[..., None] + redness, np.float32)


def _place(cover: Floats, contrast: float) -> Place:
    """The ellipse with the moments of the covered area."""
    y, x = np.nonzero(cover > 0.5)
    if len(x) < 3:
        y, x = np.nonzero(cover >= cover.max() / 2)
    values, vectors = np.linalg.eigh(np.cov(np.stack([x, y]).astype(np.float64)) + 1e-3 * np.eye(2))
    half = 2 * np.sqrt(values)  # of a filled ellipse the variance along an axis is a quarter of its half length squared
    angle = float(np.rad2deg(np.arctan2(vectors[1, 1], vectors[0, 1])) % 180)
    return Place("lesion", float(x.mean()), float(y.mean()), float(half[1]), float(half[0]), angle, contrast)


def _haired(picture: Floats, camera: Camera, chance: np.random.Generator) -> Floats:
    rows, columns = picture.shape[:2]
    canvas = np.zeros((rows, columns), np.uint8)
    for _ in range(int(chance.integers(0, camera.hairs + 1))):
        start, heading, bend = chance.uniform(0, 1, 2) * (columns, rows), chance.uniform(0, 2 * np.pi), chance.normal(0, 0.05)
        steps = np.arange(25)
        angles = heading + bend * steps
        points = start + np.cumsum(np.stack([np.cos(angles), np.sin(angles)], 1) * columns / 40, 0)
        cv2.polylines(canvas, [np.rint(points * 8).astype(np.int32)], False, 200, max(1, round(columns / 200)), cv2.LINE_AA, 3)
    share = canvas.astype(np.float32)[..., None] / 255
    return picture + share * (np.array((0.16, 0.12, 0.10), np.float32) - picture)


def _inked(picture: Floats, chance: np.random.Generator) -> Floats:
    """Violet dots of a surgeon's pen in one corner, away from the lesion."""
    rows, columns = picture.shape[:2]
    canvas = np.zeros((rows, columns), np.uint8)
    corner = chance.choice([0.12, 0.88], 2)
    for step in (-0.05, 0.0, 0.05):
        place = (round((corner[0] + step) * columns), round((corner[1] + step / 2) * rows))
        cv2.circle(canvas, place, max(2, round(columns / 55)), 255, -1, cv2.LINE_AA)
    share = 0.85 * canvas.astype(np.float32)[..., None] / 255
    return picture + share * (np.array((0.36, 0.20, 0.60), np.float32) - picture)


def _taken(picture: Floats, camera: Camera, chance: np.random.Generator) -> NDArray[np.uint8]:
    """Light, vignette, lens and sensor."""
    rows, columns = picture.shape[:2]
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    far = np.hypot(x - (columns - 1) / 2, y - (rows - 1) / 2) / (columns / 2)  # a circle that reaches the picture's narrow sides
    dark = 1 - camera.vignette * np.clip((far - 0.88) / 0.14, 0, 1) ** 1.5
    lit = picture * dark[..., None] * np.array(camera.light, np.float32) * np.float32(chance.uniform(0.9, 1.08))
    sharp = cv2.GaussianBlur(lit, (0, 0), 0.6)
    noisy = sharp + camera.noise * chance.standard_normal(picture.shape, dtype=np.float32)
    return np.asarray(np.rint(np.clip(noisy, 0, 1) * 255), np.uint8)
