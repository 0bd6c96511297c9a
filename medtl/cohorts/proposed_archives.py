"""What an .npz file of images and labels probably means."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from medtl.cohorts.proposal import Proposal, said


def of_archive(root: Path, file: str) -> Proposal:
    """The arrays `<part>_images` and `<part>_labels` of `file`, relative to `root`."""
    with np.load(root / file, allow_pickle=False) as arrays:
        labels = {name.removesuffix("_labels"): arrays[name].ravel() for name in arrays.files if name.endswith("_labels")}
    every = Counter(str(label) for part in labels.values() for label in part.tolist())
    counts = dict(sorted(every.items()))
    found = [f"{sum(counts.values()):,} images in '{file}', parts: {said({part: len(rows) for part, rows in labels.items()})}"]
    found.append(f"classes: {said(counts)}")
    given_split = "split" if {"train", "test"} <= labels.keys() else None
    return Proposal({"name": "medmnist", "file": file}, counts, "image", given_split=given_split, found=found)
