"""The image with the saliency over it and what it means burnt in, so that no viewer can show the one without the other."""

from __future__ import annotations

import textwrap

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from medtl.card import RESEARCH_ONLY
from medtl.explanation.overlay import heat, overlay
from medtl.interop.case import SALIENCY, Case

_NARROWEST = 512
"""Pixels; a smaller picture is enlarged, for its label could not be read."""


def over(case: Case, name: str) -> NDArray[np.uint8]:
    """uint8 RGB (h, w, 3), the saliency of class `name` over the picture."""
    height, width = case.picture.shape[:2]
    enlarged = cv2.resize(case.maps[name], (width, height), interpolation=cv2.INTER_LINEAR)
    return overlay(case.picture, np.clip(enlarged, 0, 1))


def labelled(case: Case, name: str) -> NDArray[np.uint8]:
    """The same with a black strip below that says what it is, at least 512 pixels wide."""
    painted = over(case, name)
    scale = max(1.0, _NARROWEST / painted.shape[1])
    if scale > 1:
        painted = np.asarray(cv2.resize(painted, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR), np.uint8)
    width = painted.shape[1]
    size = max(14, width // 42)
    package = case.package
    lines = [f"{SALIENCY} (for: {name})", RESEARCH_ONLY, f"{package.name} · medtl {package.medtl} · {package.fingerprint[:16]}"]
    if package.synthetic:
        lines.insert(0, "SYNTHETIC MODEL: learned from made images")
    wrapped = [part for line in lines for part in textwrap.wrap(line, max(20, int(1.75 * width / size)))]
    strip = Image.new("RGB", (width, int((len(wrapped) + 0.8) * 1.35 * size)))
    drawn, font = ImageDraw.Draw(strip), ImageFont.truetype(font_file(), size)
    for row, line in enumerate(wrapped):
        drawn.text((size // 2, int((row + 0.4) * 1.35 * size)), line, font=font, fill=(255, 255, 255))
    return np.concatenate([painted, np.asarray(strip, np.uint8)])


def heat_png(saliency: NDArray[np.float32]) -> bytes:
    """A map (h, w) in [0, 1] as an RGBA picture that is laid over the image."""
    _, encoded = cv2.imencode(".png", cv2.cvtColor(heat(saliency), cv2.COLOR_RGBA2BGRA))
    return encoded.tobytes()


def font_file(bold: bool = False) -> str:
    """DejaVu Sans, which matplotlib brings: Latin, Greek, Cyrillic and more, on every machine."""
    import matplotlib

    return f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans{'-Bold' if bold else ''}.ttf"
