"""Made cohorts: a records table and its measurements, of which a test then changes what it wants to be found."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from medtl import measurements

Cohort = tuple[pd.DataFrame, pd.DataFrame]


def made_cohort(images: int = 400, classes: tuple[str, ...] = ("normal", "pneumonia"), per_group: int = 2, seed: int = 0) -> Cohort:
    """Groups of `per_group` images with one label each; nothing that was measured has to do with the label."""
    chance = np.random.default_rng(seed)
    group = np.arange(images) // per_group
    labels = np.array(classes)[chance.integers(0, len(classes), group.max() + 1)][group]
    names = [f"images/{number:05d}.png" for number in range(images)]
    records = pd.DataFrame({"image": names, "frame": 0, "sha256": "", "label": labels, "patient_id": [f"p{number}" for number in group]})
    records = records.assign(group_id=records["patient_id"], group_kind="patient", domain="here", split="train", fold="")
    records["split"] = np.array(["train", "train", "train", "validation", "test"])[chance.integers(0, 5, group.max() + 1)][group]
    rows = []
    for name in names:
        numbers = {column: float(chance.uniform(0.2, 0.6)) for column in measurements.NUMBERS}
        numbers |= {
            "bytes": float(chance.integers(20_000, 60_000)),
            "height": 256.0,
            "width": 256.0,
            "letters": 0.0,
            "saturated_share": 0.0,
        }
        numbers |= dict.fromkeys(measurements.CORNER_MARKS, 0.0) | {"blank_share": 0.0, "padding_share": 0.0}
        words = {"format": "PNG", "bits": "8", "photometric": "L", "encoding": "PNG", "phash": chance.bytes(8).hex()}
        rows.append({**measurements.row({**numbers, **words}), "image": name, "frame": 0})
    return records, measurements.table(rows)


@pytest.fixture
def cohort() -> Callable[..., Cohort]:
    return made_cohort
