"""The trials of a study: which there are, what they are called, and the one table of what came out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from medtl.experiment.save import to_yaml
from medtl.experiment.schema import Experiment, TrackingSettings, TrainerSettings
from medtl.study.settings import StudySettings

COLUMNS = (
    "trial",
    "arm",
    "fraction",
    "seed",
    "fold",
    "settings",
    "state",
    "luck",
    "labels",
    "groups",
    "validation",
    "auroc",
    "auroc_low",
    "auroc_high",
    "macro_f1",
    "cpu_seconds",
    "wall_seconds",
    "kwh",
    "reason",
)
"""Of trials.csv. `fold`: of a nested search, whose images judge. `settings`: what a search tried, as JSON. `luck`: whether another seed
would give another model. `labels`, `groups`: labelled images and groups of train and validation. `validation`: the monitored score of what
the package holds, the mean over folds; of a pruned trial, what it had reached. `auroc`, `macro_f1`: on test images, once they were opened.
Seconds and kilowatt hours (with `tracking.energy`): of training, from the images at hand to the calibrated model, all folds together."""
DONE, FAILED, PRUNED, WAITING = "done", "failed", "pruned", "waiting"


@dataclass(frozen=True)
class Ended:
    """An end before the end: `state` is `failed` or `pruned`, `score` what validation had reached."""

    state: str
    reason: str
    score: float | None = None


@dataclass(frozen=True)
class Trial:
    """One training of a study."""

    arm: str
    fraction: float
    seed: int
    overrides: tuple[str, ...]
    fold: int | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    """What a search tried: setting -> value."""
    tested: bool = True
    """Whether it opens its test images. What a search tries does not."""
    ended: Ended | None = None
    """How it ended, if it left no finished run."""


def trials_of(study: StudySettings) -> list[Trial]:
    """All trials of a study of arms; those of one seed and fraction stand together, the largest fraction first, so that a study that is
    cut short has complete comparisons."""
    grid = product(study.seeds, sorted(study.fractions, reverse=True), study.arms)
    return [
        Trial(arm, fraction, seed, (*study.set, *study.arms[arm], f"split.fraction={json.dumps(fraction)}", f"seed={seed}"))
        for seed, fraction, arm in grid
    ]


def name_of(experiment: Experiment) -> str:
    """A trial's folder: the hash of its resolved experiment, without what machine and trackers do to it."""
    bare = experiment.model_copy(update={"trainer": TrainerSettings(), "tracking": TrackingSettings(), "name": "trial"})
    return hashlib.sha256(to_yaml(bare).encode()).hexdigest()[:16]


def repeated(names: Sequence[str]) -> list[str]:
    """Names that stand for several trials: two arms that are the same experiment."""
    return sorted({name for name in names if names.count(name) > 1})


def values_of(settings: object) -> dict[str, Any]:
    """What stands in the column `settings`: setting -> value."""
    return dict(json.loads(settings)) if isinstance(settings, str) and settings else {}


def searched(settings: Iterable[object]) -> dict[str, str]:
    """The settings that a search varied, by what heads their column: `rate` for `transfer.rate`, where that is clear."""
    keys = list(dict.fromkeys(key for each in settings for key in values_of(each)))
    last = [key.rpartition(".")[2] for key in keys]
    return {name if last.count(name) == 1 else key: key for name, key in zip(last, keys, strict=True)}


def in_columns(settings: object, keys: Mapping[str, str]) -> list[str]:
    """A trial's settings for people, one text for each of `keys` (of :func:`searched`); empty where it has the base's own."""
    values = values_of(settings)
    return [_shown(values[key]) if key in values else "" for key in keys.values()]


def said(settings: object) -> str:
    """The column `settings` for people: `transfer.rate 0.003, imbalance.loss focal`."""
    return ", ".join(f"{key} {_shown(value)}" for key, value in values_of(settings).items()) or "the base's own"


def _shown(value: Any) -> str:
    return json.dumps(value) if isinstance(value, dict | list) else str(value)
