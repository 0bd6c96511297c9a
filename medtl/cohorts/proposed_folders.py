"""What a folder of class folders probably means, with the parts of a given split above them or without."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from medtl.cohorts.given_splits import SPELLINGS, SPLIT_COLUMN
from medtl.cohorts.proposal import Proposal, patients_of_headers, read_headers_of, said
from medtl.cohorts.sources.folders import are_parts
from medtl.errors import MedtlError, listed

_MASKS = r"(.*[ _-])?(masks?|segmentations?|annotations?|ground[ _-]?truths?)"
_IMAGES = r"images?|imgs?|scans?|pictures?"
MOST_CLASSES = 50
"""More folders are patients or studies, whose names are shown to nobody."""
FEWEST_PATIENTS = 3
"""Fewer subfolders are no patients that could be split: views, sites or sides."""


def of_folders(root: Path, images: Sequence[str]) -> Proposal:
    """One folder per class, or parts (train, test …) with one per class in each. Raises MedtlError where the folders are neither."""
    parts = Counter(image.split("/")[0] for image in images if "/" in image)
    given = are_parts(parts)
    depth = 1 if given else 0
    classes = Counter(image.split("/")[depth] for image in images if image.count("/") > depth)
    _refuse_no_classes(root, parts, classes)
    found = [f"{len(images):,} images, one folder per class: {said(classes)}"]
    if given:
        found = [f"{len(images):,} images in parts of a given split: {said(parts)}", f"in each one folder per class: {said(classes)}"]
    cohort: dict[str, Any] = {"name": "folders"}
    split = SPLIT_COLUMN if given else None
    if of_headers := patients_of_headers(read_headers_of(root, images)):
        return Proposal(cohort | {"patient": {"from": "header"}}, classes, "patient", given_split=split, found=[*found, of_headers])
    if pattern := _folder_of_patient([image for image in images if image.count("/") > depth], depth):
        found.append("every image lies in a subfolder of its class, taken for its patient's (if not: take `patient` out, split by image)")
        return Proposal(cohort | {"patient": {"from": "path", "pattern": pattern}}, classes, "patient", given_split=split, found=found)
    remark = "if file names hold the patient: patient: {from: filename, pattern: '(person\\d+)'}"
    return Proposal(cohort, dict(classes), "image", given_split=split, remarks={"split": remark}, found=found)


def _folder_of_patient(images: Sequence[str], depth: int) -> str | None:
    """The pattern of the folder below the class, if it may be a patient's: every image has one, and they are no parts, masks or images."""
    if not all(image.count("/") > depth + 1 for image in images):
        return None
    folders = {image.split("/")[depth + 1] for image in images}
    spoken_for = [name for name in folders if name.casefold() in SPELLINGS or re.fullmatch(rf"{_IMAGES}|{_MASKS}", name, re.IGNORECASE)]
    return None if spoken_for or len(folders) < FEWEST_PATIENTS else "^" + "[^/]+/" * (depth + 1) + "([^/]+)/"


def _refuse_no_classes(root: Path, folders: Collection[str], classes: Collection[str]) -> None:
    """Folders that are by their names no classes, though each holds images."""
    if len(classes) > MOST_CLASSES:
        raise MedtlError(
            f"'{root}' holds {len(classes):,} folders of images, more than {MOST_CLASSES} classes; if they are patients or studies, "
            "give a table of labels (--table) that names their images"
        )
    masks = [name for name in folders if re.fullmatch(_MASKS, name, re.IGNORECASE)]
    rest = [name for name in folders if name not in masks and not re.fullmatch(_IMAGES, name, re.IGNORECASE)]
    parts = [name for name in rest if name.casefold() in SPELLINGS]
    if masks:
        what = "move them elsewhere" if len(rest) > 1 else "give a table of labels (--table), or one folder per class without the masks"
        others = listed(name for name in folders if name not in masks) or "nothing"
        raise MedtlError(f"'{root}': {listed(masks)} beside {others}: masks are no class; {what}")
    if len(parts) > 1 and len(parts) < len(folders):
        others = listed(name for name in folders if name not in parts)
        raise MedtlError(
            f"'{root}' holds parts of a split ({listed(parts)}) beside {others}, so no folder per class; move {others} elsewhere"
        )
    if len(classes) < 2:
        inside = f"no folder per class in {listed(folders)} ({listed(classes) or 'images only'})"
        raise MedtlError(f"'{root}' holds {inside}; give a table of labels: --table")
