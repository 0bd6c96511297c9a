"""One image under every view, for the report: as the network sees it, not upright and whole."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.contracts import Task
from medtl.document.picture import Key, Picture
from medtl.evaluation import stress_file
from medtl.imaging.decoding import decode_many
from medtl.imaging.settings import ImageSettings
from medtl.predictions import PLAIN
from medtl.records import KEY
from medtl.stress.views import VIEWS

if TYPE_CHECKING:
    from medtl.report.contents import Contents

QUALITY = 90


def with_stress(contents: Contents, folder: Path, settings: ImageSettings, root: Path) -> Contents:
    """The contents with what stands in the folder's stress.json, and the pictures of one image; as they are where nothing was stressed."""
    from medtl.report.judged import judged_splits
    from medtl.report.stress import stressed_split

    split = stressed_split(contents.predictions, judged_splits(contents.metrics))
    if split is None:
        return contents
    key = _example(contents.predictions, split, contents.task)
    pictures = _views_of(key, contents.records, settings, root)
    return dataclasses.replace(contents, stress=stress_file.read(folder), stress_pictures=pictures)


def _example(predictions: pd.DataFrame, split: str, task: Task) -> Key:
    """The first image that was read, of the positive class where there is one."""
    rows = predictions[(predictions["split"] == split) & (predictions["view"] == PLAIN) & (predictions["predicted"] != "")]
    if task.positive_index is not None and (rows["truth"] == task.names[task.positive_index]).any():
        rows = rows[rows["truth"] == task.names[task.positive_index]]
    image, frame = rows.sort_values(KEY)[KEY].iloc[0]
    return str(image), int(frame)


def _views_of(key: Key, records: pd.DataFrame, settings: ImageSettings, root: Path) -> dict[str, Picture]:
    """By view; nothing where the file is gone, unreadable, or no longer the one that was judged."""
    judged = records.set_index(KEY)["sha256"].to_dict().get(key)
    for _, pixels, measured in decode_many([(root / key[0], key[1])], settings):
        if pixels is None or measured["sha256"] != judged:
            return {}
        shown: Mapping[str, Any] = {PLAIN: pixels} | {view.name: view.show(pixels[None])[0] for view in VIEWS}
        return {name: Picture(_jpeg(each), key[0]) for name, each in shown.items()}
    return {}


def _jpeg(pixels: NDArray[np.uint8]) -> bytes:
    bgr = np.ascontiguousarray(pixels[..., ::-1]) if pixels.shape[2] == 3 else pixels
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
