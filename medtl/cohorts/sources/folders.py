"""One folder per class: `folder/NORMAL/**/*.jpeg`, `folder/PNEUMONIA/**/*.jpeg`; the folder's name is the label.

Where the split is given by folders above them (`folder/train/NORMAL/**/*.jpeg`, `folder/test/…`), `split: {column: split}` takes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import pandas as pd

from medtl.cohorts import CohortSettings
from medtl.cohorts.files import inside_root, list_images
from medtl.cohorts.given_splits import SPELLINGS, SPLIT_COLUMN
from medtl.cohorts.ids import find_ids
from medtl.cohorts.source_table import SourceTable, counted, unusable

TASKS = ("single",)


class Settings(CohortSettings):
    """Images are found at any depth below their class's folder; hidden files and files that are no images are passed over."""

    name: Literal["folders"] = "folders"


def build(settings: Settings, root: Path, wanted: Sequence[str]) -> SourceTable:
    """A row per image; of the `wanted` columns there may be `split`, where every folder below `folder` is called as a part of a split."""
    folder = inside_root(root, ".", settings.folder)
    if folder is None:
        return unusable(f"folder: '{settings.folder}' lies outside the data root")
    place = root / folder
    if not place.is_dir():
        return unusable(f"folder: there is no folder '{settings.folder}' in the data root {root} (--data says where the root is)")
    found = list_images(place)
    offered = are_parts(image.split("/", 1)[0] for image in found.images if "/" in image)
    depth = 1 if offered and SPLIT_COLUMN in wanted else 0  # of the folder that is the class
    labelled = [image for image in found.images if image.count("/") > depth or settings.labels == "hidden"]
    prefix = "" if folder == "." else folder + "/"
    table = pd.DataFrame({"image": [prefix + image for image in labelled], "frame": 0}, dtype=object)
    table["frame"] = table["frame"].astype(int)
    table["spelling"] = [image.split("/")[min(depth, image.count("/"))] for image in labelled]
    table["where"] = table["image"]
    if depth:
        table[SPLIT_COLUMN] = [image.split("/")[0] if "/" in image else "" for image in labelled]
    source = SourceTable(table, offers=[SPLIT_COLUMN] if offered else [])
    if not labelled:
        source.mistakes.append(f"'{settings.folder}' holds no image in a class folder ({counted(len(found.images), 'image')} beside them)")
        return source
    if len(labelled) < len(found.images):
        source.notes.append(f"{counted(len(found.images) - len(labelled), 'image')} in no class folder left out")
    if left_out := found.left_out():
        source.notes.append(left_out)
    find_ids(source, settings, root)
    return source


def are_parts(folders: Iterable[str]) -> bool:
    """Whether folders are the parts of a given split by their names, rather than classes.

    >>> are_parts(["train", "Test"]), are_parts(["train", "benign"]), are_parts([])
    (True, False, False)
    """
    names = {name.casefold() for name in folders}
    return bool(names) and names <= SPELLINGS.keys()
