"""One folder per class: `folder/NORMAL/**/*.jpeg`, `folder/PNEUMONIA/**/*.jpeg`; the folder's name is the label."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pandas as pd

from medtl.cohorts import CohortSettings
from medtl.cohorts.files import inside_root, list_images
from medtl.cohorts.ids import find_ids
from medtl.cohorts.source_table import SourceTable, counted, unusable

TASKS = ("single",)


class Settings(CohortSettings):
    """Images are found at any depth below their class's folder; hidden files and files that are no images are passed over."""

    name: Literal["folders"] = "folders"


def build(settings: Settings, root: Path, wanted: Sequence[str]) -> SourceTable:
    """A row per image; `wanted` columns do not exist here."""
    folder = inside_root(root, ".", settings.folder)
    if folder is None:
        return unusable(f"folder: '{settings.folder}' lies outside the data root")
    place = root / folder
    if not place.is_dir():
        return unusable(f"folder: there is no folder '{settings.folder}' in the data root {root} (--data says where the root is)")
    found = list_images(place)
    labelled = [image for image in found.images if "/" in image or settings.labels == "hidden"]
    prefix = "" if folder == "." else folder + "/"
    table = pd.DataFrame({"image": [prefix + image for image in labelled], "frame": 0}, dtype=object)
    table["frame"] = table["frame"].astype(int)
    table["spelling"] = [image.split("/", 1)[0] for image in labelled]
    table["where"] = table["image"]
    source = SourceTable(table)
    if not labelled:
        source.mistakes.append(f"'{settings.folder}' holds no image in a class folder ({counted(len(found.images), 'image')} beside them)")
        return source
    if len(labelled) < len(found.images):
        source.notes.append(f"{counted(len(found.images) - len(labelled), 'image')} in no class folder left out")
    if found.others:
        source.notes.append(found.left_out())
    find_ids(source, settings, root)
    return source
