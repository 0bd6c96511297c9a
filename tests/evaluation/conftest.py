"""Predictions tables made to order."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from medtl.contracts import Task

MakeTable = Callable[..., pd.DataFrame]


@pytest.fixture(scope="session")
def make_table() -> MakeTable:
    """`make_table(truth, probabilities, groups=None, predicted=None)`: class names are a, b, c …; NaN rows are unread images."""

    def make(
        truth: Sequence[int], probabilities: object, groups: Sequence[object] | None = None, predicted: Sequence[int] | None = None
    ) -> pd.DataFrame:
        p = np.asarray(probabilities, dtype=float)
        n, k = p.shape
        names = [chr(ord("a") + i) for i in range(k)]
        read = np.isfinite(p).all(axis=1)
        chosen = np.argmax(np.nan_to_num(p), axis=1) if predicted is None else np.asarray(predicted)
        table = pd.DataFrame({"image": [f"{i}.png" for i in range(n)], "frame": 0})
        for column in ("domain", "split", "fold", "member"):
            table[column] = ""
        table["view"] = "plain"
        table["group_id"] = [f"g{g}" for g in (range(n) if groups is None else groups)]
        table["truth"] = [names[t] for t in truth]
        with np.errstate(divide="ignore"):
            table[[f"logit_{name}" for name in names]] = np.log(p)
        table[[f"p_{name}" for name in names]] = p
        table["predicted"] = np.where(read, np.array(names)[chosen], "") if n else pd.Series(dtype=str)
        table["decision"] = np.where(read, table["predicted"], "no answer") if n else pd.Series(dtype=str)
        table["reason"] = np.where(read, "", "DECODE_FAILED") if n else pd.Series(dtype=str)
        return table

    return make


@pytest.fixture(scope="session")
def make_task() -> Callable[[int], Task]:
    """A task of so many classes, named as `make_table` names them."""
    return lambda classes: Task(classes={chr(ord("a") + i): () for i in range(classes)})


@pytest.fixture(scope="session")
def draw() -> Callable[..., tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """`draw(random, groups, size, prevalence, separation)`: (truth, calibrated probabilities, groups) of groups of `size` images
    that share their truth and half of their noise."""

    def make(random: np.random.Generator, groups: int, size: int, prevalence: Sequence[float], separation: float = 1.5):
        k = len(prevalence)
        truth = np.repeat(random.choice(k, groups, p=prevalence), size)
        noise = np.repeat(random.normal(size=(groups, k)), size, axis=0) + random.normal(size=(groups * size, k))
        evidence = separation * np.eye(k)[truth] + noise / np.sqrt(2)
        return truth, softmax(separation * evidence + np.log(prevalence), axis=1), np.repeat(np.arange(groups), size)

    return make
