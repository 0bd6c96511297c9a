"""A picture inside a page: the image as the reader reads it, and how it was read."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass

Key = tuple[str, int]
"""`(image, frame)`."""


@dataclass(frozen=True)
class Picture:
    """One image as the reader reads it, upright and whole."""

    jpeg: bytes | None
    """None where it could not be read again."""
    reading: str
    """How it was read (format, size, orientation, window …), or why there is no picture."""


def data_uri(picture: Picture) -> str:
    """The picture as an address that holds it; empty where there is none."""
    return f"data:image/jpeg;base64,{base64.b64encode(picture.jpeg).decode()}" if picture.jpeg else ""


def picture_of(pictures: Mapping[Key, Picture], key: Key) -> Picture:
    """The picture of an image; one without pixels where it was not asked for."""
    return pictures.get(key, Picture(None, "the picture was not asked for"))
