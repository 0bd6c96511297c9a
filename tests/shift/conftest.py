"""Made hospitals: patients with two images each, features of which one tells the illness, and a model that reads it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from medtl.shift.examine import Sample

Hospital = Callable[..., Sample]


@pytest.fixture(scope="session")
def hospital() -> Hospital:
    """`hospital(patients, seed, ill=0.5, moved=0.0)`: `moved` shifts brightness and the features, whatever the illness."""

    def made(patients: int, seed: int, ill: float = 0.5, moved: float = 0.0, labelled: bool = True, dimensions: int = 5) -> Sample:
        rng = np.random.default_rng(seed)
        groups = np.repeat(np.arange(patients), 2)
        truth = np.repeat((rng.random(patients) < ill).astype(np.int64), 2)
        features = rng.normal(size=(2 * patients, dimensions)) + 0.7 * rng.normal(size=(patients, dimensions)).repeat(2, axis=0)
        features[:, 0] += 4 * truth
        features[:, 1] += moved
        columns = pd.DataFrame(
            {
                "brightness": 0.5 + 0.1 * (rng.normal(size=len(groups)) + moved),
                "bytes": rng.integers(1000, 2000, len(groups)).astype(float),
                "device": np.where(rng.random(len(groups)) < 0.3, "A", "B"),
                "bits": "8",
            }
        )
        logit = 4 / 1.49 * (features[:, 0] - 2) + moved  # calibrated at half ill: two normal distributions, variance 1.49, 4 apart
        ill_p = 1 / (1 + np.exp(-logit))
        return Sample(
            groups, columns, features, np.column_stack([1 - ill_p, ill_p]), (ill_p > 0.5).astype(np.int64), truth if labelled else None
        )

    return made
