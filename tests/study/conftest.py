"""Made trials: predictions of known quality, without any training."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import pytest

from medtl.contracts import Task

TASK = Task(classes={"well": ["well"], "ill": ["ill"]}, positive="ill")
IMAGES = 300


@pytest.fixture
def task() -> Task:
    return TASK


def predictions(strength: float, seed: int) -> pd.DataFrame:
    """Test predictions of 300 patients whose log-odds lie `strength` standard deviations apart."""
    truth = np.arange(IMAGES) % 3 == 0
    hard = np.random.default_rng(0).normal(0, 0.8, IMAGES)  # the same images are hard for all
    odds = strength * (truth - 0.5) + hard + np.random.default_rng(seed + 1).normal(0, 0.6, IMAGES)
    p = 1 / (1 + np.exp(-odds))
    return pd.DataFrame(
        {
            "image": [f"{number:03}.png" for number in range(IMAGES)],
            "frame": 0,
            "domain": "here",
            "split": "test",
            "fold": "",
            "member": "",
            "view": "plain",
            "group_id": [f"g{number}" for number in range(IMAGES)],
            "truth": np.where(truth, "ill", "well"),
            "logit_well": -odds / 2,
            "logit_ill": odds / 2,
            "p_well": 1 - p,
            "p_ill": p,
            "predicted": np.where(p > 0.5, "ill", "well"),
            "decision": np.where(p > 0.5, "ill", "well"),
            "reason": "",
        }
    )


@pytest.fixture
def answering() -> Callable[[float, int], pd.DataFrame]:
    """`answering(strength, seed)`: test predictions of 300 patients, more or less right."""
    return predictions


@pytest.fixture
def made() -> Callable[..., tuple[pd.DataFrame, dict[str, pd.DataFrame], pd.DataFrame]]:
    """Trials, their predictions and their curves, out of `{arm: {fraction: strength}}` and `{arm: seconds per epoch}`."""

    def make(strengths: Mapping[str, Mapping[float, float]], seconds: Mapping[str, float] | None = None, seeds: int = 3) -> tuple:
        trials, judged, curves = [], {}, []
        for arm, by_fraction in strengths.items():
            for fraction, strength in by_fraction.items():
                for seed in range(seeds):
                    name = f"{arm}-{fraction}-{seed}"
                    judged[name] = predictions(strength, hash_of(name))
                    trials.append(
                        {
                            "trial": name,
                            "arm": arm,
                            "fraction": fraction,
                            "seed": seed,
                            "state": "done",
                            "luck": True,
                            "labels": round(400 * fraction),
                        }
                        | {
                            "labels": round(400 * fraction),
                            "groups": 1,
                            "macro_f1": 0.5,
                            "cpu_seconds": 60.0,
                            "kwh": np.nan,
                            "auroc_low": 0.7,
                            "auroc_high": 0.8,
                        }
                    )
                    for epoch in range(1, 11):
                        at = epoch * (seconds or {}).get(arm, 10.0) * (1 + 0.05 * seed)
                        score = 0.5 + strength * (1 - 0.7**epoch) / 5
                        curves.append({"trial": name, "fold": 0, "seconds": at, "kwh": np.nan, "score": score})
        return pd.DataFrame(trials), judged, pd.DataFrame(curves)

    return make


def hash_of(name: str) -> int:
    return sum(ord(letter) * 31**place for place, letter in enumerate(name)) % 2**31
