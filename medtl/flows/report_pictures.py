"""Images as pictures of a page: read again by the reader, upright and whole, in processes of their own; with how they were read."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.document.picture import Key, Picture
from medtl.imaging.decoding import decode_many
from medtl.imaging.settings import ImageSettings
from medtl.records import KEY

if TYPE_CHECKING:
    from medtl.report.contents import Contents

SIZE, QUALITY = 288, 85


def with_pictures(contents: Contents, settings: ImageSettings, root: Path) -> Contents:
    """The contents with a picture of each worst error, out of the images below `root`; those that are not there say so."""
    from medtl.report.mistakes import worst

    keys = [each.key for group in worst(contents.predictions, contents.task, contents.split).values() for each in group]
    return dataclasses.replace(contents, pictures=pictures_of(keys, contents.records, settings, root))


def pictures_of(keys: Iterable[Key], records: pd.DataFrame, settings: ImageSettings, root: Path, size: int = SIZE) -> dict[Key, Picture]:
    """A picture of each image, at most `size` pixels wide and high; one that is gone, broken or another file than in `records` says so."""
    asked = list(dict.fromkeys(keys))
    there = asked if root.is_dir() else []
    pictures = {key: Picture(None, "the folder of the images is not there") for key in asked}
    hashes = records.set_index(KEY)["sha256"].to_dict()
    whole = settings.model_copy(update={"size": size, "fit": "pad"})
    for position, pixels, measured in decode_many([(root / image, frame) for image, frame in there], whole):
        key = there[position]
        pictures[key] = _picture(pixels, measured, str(hashes.get(key, "")))
    return pictures


def _picture(pixels: NDArray[np.uint8] | None, measured: Mapping[str, Any], judged: str) -> Picture:
    if pixels is None:
        return Picture(None, f"{measured['reason']} [{measured['quarantine']}]")
    if measured["sha256"] != judged:
        return Picture(None, "the file is no longer the one that was judged")
    inside = _without_padding(pixels, float(str(measured["height"])), float(str(measured["width"])))
    bgr = cv2.cvtColor(inside, cv2.COLOR_RGB2BGR) if inside.shape[2] == 3 else inside
    return Picture(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes(), _reading(measured))


def _without_padding(pixels: NDArray[np.uint8], height: float, width: float) -> NDArray[np.uint8]:
    """The picture's own part of the square that it was padded to."""
    size = pixels.shape[0]
    own = [max(1, round(size * side / max(height, width))) for side in (height, width)]
    top, left = ((size - side) // 2 for side in own)
    return pixels[top : top + own[0], left : left + own[1]]


def _reading(measured: Mapping[str, Any]) -> str:
    """`DICOM, 2500 × 2048 pixels, 12 bit, as stored, window LINEAR, inverted`."""
    receipt = json.loads(str(measured["receipt"] or "{}"))
    size = f"{measured['width']:g} × {measured['height']:g} pixels"
    parts = [measured["format"], size, f"{receipt.get('bits')} bit", receipt.get("orientation"), receipt.get("intensity")]
    parts += ["inverted"] if receipt.get("inverted") else []
    return ", ".join(str(part) for part in [*parts, *receipt.get("notes", ())] if part)
