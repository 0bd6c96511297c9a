"""What an .npz file of images and labels probably means: read as the cohort would read it, so that what it refuses is not proposed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from medtl.cohorts.given_splits import SPLIT_COLUMN
from medtl.cohorts.proposal import Proposal, said
from medtl.cohorts.sources import medmnist
from medtl.contracts import TEST, TRAIN
from medtl.errors import MedtlError, listed


def of_archive(root: Path, file: str) -> Proposal:
    """The arrays `<part>_images` and `<part>_labels` of `file`, relative to `root`. Raises MedtlError where they make no cohort."""
    source = medmnist.build(medmnist.Settings(file=file), root, [SPLIT_COLUMN])
    if source.mistakes:
        raise MedtlError("; ".join(source.mistakes))
    counts = dict(Counter(sorted(source.table["spelling"], key=int)))
    if len(counts) < 2:
        raise MedtlError(f"'{file}' holds labels of one class ({listed(counts)}); at least two are needed")
    parts = Counter(source.table["image"].str.removeprefix(f"{file}/").str.removesuffix("_images"))
    found = [f"{len(source.table):,} images in '{file}', parts: {said(parts)}", f"classes: {said(counts)}"]
    given_split = SPLIT_COLUMN if {TRAIN, TEST} <= {*source.table[SPLIT_COLUMN]} else None
    return Proposal({"name": "medmnist", "file": file}, counts, "image", given_split=given_split, found=found)
