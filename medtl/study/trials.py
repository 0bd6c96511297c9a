"""The trials of a study: which there are, what they are called, and the one table of what came out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from medtl.experiment.save import to_yaml
from medtl.experiment.schema import Experiment, TrackingSettings, TrainerSettings
from medtl.study.settings import StudySettings

COLUMNS = (
    "trial",
    "arm",
    "fraction",
    "seed",
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
"""Of trials.csv. `luck`: whether another seed would give another model. `labels`, `groups`: labelled images and groups of train and
validation. `validation`: the monitored score of what the package holds, the mean over folds. `auroc`, `macro_f1`: on test images. Seconds
and kilowatt hours (with `tracking.energy`): of training, from the images at hand to the calibrated model, all folds together."""
DONE, FAILED, WAITING = "done", "failed", "waiting"


@dataclass(frozen=True)
class Trial:
    """One training of a study."""

    arm: str
    fraction: float
    seed: int
    overrides: tuple[str, ...]


def trials_of(study: StudySettings) -> list[Trial]:
    """All trials; the arms of one seed and fraction stand together, the largest fraction first, so that a study that is cut short has
    complete comparisons."""
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
