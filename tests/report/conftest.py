"""Runs made to order, as tables: no network, no images."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from medtl.contracts import Task
from medtl.evaluation.summary import summarize
from medtl.report.contents import Contents
from medtl.report.judged import judged

MakeTable = Callable[..., pd.DataFrame]
MakeContents = Callable[..., Contents]
GROUP = "cafe{:012d}"


@pytest.fixture(scope="session")
def make_table() -> MakeTable:
    """`make_table(names, n, split, seed, fold="")`: n images of n / 2 groups, a quarter of them called wrong."""

    def make(names: Sequence[str] = ("well", "ill"), n: int = 60, split: str = "test", seed: int = 0, fold: str = "") -> pd.DataFrame:
        random = np.random.default_rng(seed)
        truth = random.integers(0, len(names), n)
        p = softmax(1.6 * np.eye(len(names))[truth] + random.normal(size=(n, len(names))), axis=1)
        table = pd.DataFrame({"image": [f"{split}/{i:03d}.png" for i in range(n)], "frame": 0})
        table["domain"] = np.where(np.arange(n) % 3 == 0, "north", "south")
        table["split"], table["fold"], table["member"], table["view"] = split, fold, fold, "plain"
        table["group_id"] = [GROUP.format(i // 2) for i in range(n)]
        table["truth"] = np.array(names)[truth]
        table[[f"logit_{name}" for name in names]] = np.log(p)
        table[[f"p_{name}" for name in names]] = p
        table["predicted"] = table["decision"] = np.array(names)[p.argmax(axis=1)]
        table["reason"] = ""
        return table

    return make


@pytest.fixture(scope="session")
def make_contents(make_table: MakeTable) -> MakeContents:
    """`make_contents(names=…, splits=…, predictions=None, kept=False, **others)`; `others` replace fields of Contents."""

    @functools.cache
    def usual(names: tuple[str, ...], splits: tuple[str, ...]) -> tuple[pd.DataFrame, dict[str, Any]]:
        table = pd.concat([make_table(names, split=split, seed=place) for place, split in enumerate(splits)], ignore_index=True)
        task = Task(classes=dict.fromkeys(names, ()))
        return table, {split: summarize(judged(table, split), task, resamples=50) for split in splits}

    def make(
        names: Sequence[str] = ("well", "ill"),
        splits: Sequence[str] = ("test", "validation"),
        predictions: pd.DataFrame | None = None,
        kept: bool = False,
        **others: Any,
    ) -> Contents:
        task = Task(classes=dict.fromkeys(names, ()))
        if predictions is None:
            predictions, metrics = usual(tuple(names), tuple(splits))
        else:
            metrics = {split: summarize(judged(predictions, split), task, resamples=50) for split in splits}
        rows = records_of(predictions, kept)
        made = {
            "task": task,
            "metrics": {"format": 1, "unit": "patient", "looks": int("test" in splits), "splits": metrics},
            "predictions": predictions,
            "records": rows,
            "package": package_of(names),
        }
        return Contents(**{**made, **others})

    return make


def records_of(predictions: pd.DataFrame, kept: bool) -> pd.DataFrame:
    """A record for each image that was predicted; `kept`: with an age and a sex (subgroups take time)."""
    rows = predictions.drop_duplicates(["image", "frame"])[["image", "frame", "group_id", "domain", "split", "fold"]].copy()
    rows["label"] = predictions["truth"]
    rows["sha256"], rows["patient_id"], rows["group_kind"] = "0" * 64, rows["group_id"], "patient"
    if not kept:
        return rows
    rows["age"] = [str(20 + 3 * (i % 20)) for i in range(len(rows))]
    rows["sex"] = ["F" if i % 2 else "M" for i in range(len(rows))]
    return rows


def package_of(names: Sequence[str]) -> dict[str, Any]:
    """What a report reads of model.json."""
    return {
        "name": "lungs",
        "scope": {"modality": ["CR", "DX"], "body_part": [], "view": [], "age": [18, 90]},
        "image": {"size": 224, "channels": 1, "fit": "pad", "intensity": "as-read"},
        "network": {"architecture": "resnet18", "library": "timm", "dim": 512},
        "weights": [
            {
                "file": "weights-0.safetensors",
                "sha256": "a" * 64,
                "provenance": {
                    "source": "file",
                    "file": "r.safetensors",
                    "sha256": "ab" * 32,
                    "tensors": 122,
                    "fitted": 120,
                    "head": ["fc.weight"],
                },
            }
        ],
        "calibration": {"temperature": 1.5},
        "operating_point": {"rule": "youden", "threshold": 0.4321 if len(names) == 2 else None, "split": "validation", "n": 60},
        "training": {},
        "lineage": {},
        "fingerprint": "f" * 64,
        "medtl": "0.1.0",
        "created": "2026-01-02T03:04:05+00:00",
    }
