"""The image in the page, with the values of its file: HTML that `viewer.js` brings to life. Nothing is on disk or has an address."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from medtl.explanation.overlay import heat
from medtl.imaging.grey_levels import window_function
from medtl.imaging.image import Window
from medtl.imaging.viewing import View

SCRIPT = Path(__file__).with_name("viewer.js")
STYLE = Path(__file__).with_name("viewer.css")
LOOKED = "Where the model looked, not where disease is."
KEYS = (
    "With the image in focus: i inverts, + and − zoom, 0 fits, arrows move an enlarged image, 1 to 9 choose a window, w as first shown, "
    "b brighter, d darker, [ and ] contrast, s saliency. Mouse: drag changes the window, Shift and drag moves, the wheel zooms."
)
_FAST = 1


def viewer(
    seen: View,
    maps: Mapping[str, NDArray[np.float32]],
    shown: str,
    caption: str,
    millimetres: float | None = None,
    at_detector: bool = False,
    picture: str = "The uploaded image, upright",
) -> str:
    """The image, its controls, and its saliency over it.

    Arguments:
        seen: pixels and the windows offered for them.
        maps: class → (h', w') in [0, 1], over the whole image; empty where there is no answer, and then nothing of saliency is shown.
        shown: the class whose map is visible at first.
        caption: a line below.
        millimetres: from the left edge of the image to the right; None where nobody knows.
        at_detector: they are measured on the detector, where everything is larger than in the body.
        picture: what it is, for those who cannot see it.
    """
    height, width = seen.words.shape[:2]
    ruler = "at the detector, where a body part is larger than it is" if at_detector else "by the file's pixel spacing"
    scale = f'<div class="scale" title="Scale: {ruler}"></div>' if millimetres else ""
    stage = (
        f'<div class="stage" tabindex="0" role="group" aria-label="Image viewer" aria-describedby="medtl-keys" '
        f'style="--ratio:{width / height:.5f}">'
        f'<div class="layers"><canvas width="{width}" height="{height}" role="img" aria-label="{escape(picture)}"></canvas>'
        f'{_heat(maps, shown)}</div>{scale}<output class="probe" aria-hidden="true"></output></div>'
    )
    return (
        f'<figure class="medtl-viewer" data-told="{escape(json.dumps(_told(seen, millimetres)))}" data-words="{packed(seen.words)}" '
        f'data-table="{_text(zlib.compress(seen.table.tobytes(), _FAST))}">{stage}{_controls(seen)}{_saliency(maps, shown)}'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def packed(words: NDArray[np.uint8] | NDArray[np.uint16]) -> str:
    """Differences to the left neighbour, low bytes before high bytes, deflated: half of what the words take as they are."""
    step = np.empty_like(words)
    step[:, 0], step[:, 1:] = words[:, 0], words[:, 1:] - words[:, :-1]
    if words.dtype == np.uint8:
        return _text(zlib.compress(step.tobytes(), _FAST))
    return _text(zlib.compress((step & 255).astype(np.uint8).tobytes() + (step >> 8).astype(np.uint8).tobytes(), _FAST))


def _told(seen: View, millimetres: float | None) -> dict[str, Any]:
    """What the script has to know besides pixels."""
    height, width = seen.words.shape[:2]
    return {
        "height": height, "width": width, "channels": 3 if seen.words.ndim == 3 else 1, "bytes": seen.words.dtype.itemsize,
        "low": seen.low, "step": seen.step, "unit": seen.unit, "inverted": seen.inverted, "across": millimetres,
        "windows": [{"name": name, **_window(window)} for name, window in seen.windows], "start": _window(_start(seen)),
    }  # fmt: skip


def _start(seen: View) -> Window:
    """The window that comes nearest to what is shown at first: one of those offered, or the whole range of the words."""
    words = np.unique(seen.words)
    values, shown = seen.low + seen.step * words.astype(np.float64), seen.table[words] / 255
    span = (len(seen.table) - 1) * seen.step
    offered = [*(window for _, window in seen.windows), Window(seen.low + span / 2, span, "LINEAR_EXACT")]
    return min(offered, key=lambda window: float(np.abs(_under(window, values, seen.inverted) - shown).mean()))


def _under(window: Window, values: NDArray[np.float64], inverted: bool) -> NDArray[np.float64]:
    """Values under a window, in [0, 1]."""
    shade = window_function(window.curve, window.centre, window.width)
    shown = shade(values) if shade is not None else np.zeros_like(values)
    return 1 - shown if inverted else shown


def _window(window: Window) -> dict[str, Any]:
    return {"centre": window.centre, "width": window.width, "curve": window.curve}


def _controls(seen: View) -> str:
    options = "".join(f'<option value="{escape(name)}">{escape(name)}</option>' for name, _ in seen.windows)
    unit = f" ({escape(seen.unit)})" if seen.unit else ""
    return (
        '<div class="tools" role="toolbar" aria-label="How the image is shown">'
        f'<label>Window{unit} <select class="preset"><option value="">As the model is given it</option>{options}'
        '<option value="own" disabled>Your own</option></select></label>'
        '<label>Centre <input class="centre" type="number" step="any"></label>'
        '<label>Width <input class="width" type="number" step="any" min="0"></label>'
        '<button type="button" class="invert" aria-pressed="false">Invert</button>'
        '<span class="together"><button type="button" class="out" aria-label="Zoom out">−</button>'
        '<output class="zoom" aria-label="Zoom">100 %</output><button type="button" class="in" aria-label="Zoom in">+</button>'
        '<button type="button" class="fit">Fit</button></span>'
        f'<details class="keys"><summary>Keys</summary><p id="medtl-keys">{escape(KEYS)}</p></details></div>'
    )


def _saliency(maps: Mapping[str, NDArray[np.float32]], shown: str) -> str:
    if not maps:
        return ""
    options = "".join(f"<option{' selected' if name == shown else ''}>{escape(name)}</option>" for name in maps)
    which = f'<label>Class <select class="which">{options}</select></label>' if len(maps) > 1 else f"<span>for {escape(shown)}</span>"
    return (
        '<div class="tools" role="toolbar" aria-label="Saliency">'
        f'<button type="button" class="toggle" aria-pressed="true">Saliency</button>{which}'
        '<label>Opacity <input class="opacity" type="range" min="0" max="1" step="0.05" value="0.6"></label>'
        f'<p class="small">{LOOKED}</p></div>'
    )


def _heat(maps: Mapping[str, NDArray[np.float32]], shown: str) -> str:
    return "".join(
        f'<img class="heat" data-class="{escape(name)}" alt="Saliency for {escape(name)}: {LOOKED.lower()}" src="{_png(heat(each))}"'
        f"{'' if name == shown else ' hidden'}>"
        for name, each in maps.items()
    )


def _png(image: NDArray[np.uint8]) -> str:
    """RGBA (H, W, 4) → a data address."""
    _, encoded = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGBA2BGRA))
    return f"data:image/png;base64,{_text(encoded.tobytes())}"


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
