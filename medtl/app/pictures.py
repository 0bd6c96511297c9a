"""Pictures inside the page's HTML, as data: nothing is written to disk, nothing has an address of its own."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape

import cv2
import numpy as np
from numpy.typing import NDArray

from medtl.explanation.overlay import heat


def picture(image: NDArray[np.uint8], maps: Mapping[str, NDArray[np.float32]], shown: str, caption: str) -> str:
    """The image with its saliency maps over it, one visible at a time.

    Arguments:
        image: RGB (h, w, 3).
        maps: class → (h', w') in [0, 1], over the whole image.
        shown: the class whose map is visible at first.
        caption: a line below.
    """
    layers = "".join(
        f'<img class="heat" data-class="{escape(name)}" alt="Where the image speaks for {escape(name)}" src="{_png(heat(each))}"'
        f"{'' if name == shown else ' hidden'}>"
        for name, each in maps.items()
    )
    frame = f'<div class="stack" style="--ratio:{image.shape[1] / image.shape[0]:.5f}">'
    bare = f'<img alt="The uploaded image, upright" src="{_png(image)}">'
    return f'<figure class="medtl-picture">{frame}{bare}{layers}</div><figcaption>{escape(caption)}</figcaption></figure>'


def _png(image: NDArray[np.uint8]) -> str:
    """(H, W, 3 or 4), RGB(A) → a data address; a grey picture is stored as one plane."""
    if image.shape[2] == 4:
        stored = cv2.cvtColor(image, cv2.COLOR_RGBA2BGRA)
    elif np.array_equal(image[..., 0], image[..., 1]) and np.array_equal(image[..., 0], image[..., 2]):
        stored = image[..., 0]
    else:
        stored = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".png", stored)
    return f"data:image/png;base64,{base64.b64encode(encoded.tobytes()).decode()}"
