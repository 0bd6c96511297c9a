"""Small packages to be saved, loaded and broken."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from medtl.backbones import BackboneSettings
from medtl.backbones.network import build_network
from medtl.decisions.calibration import Calibration
from medtl.experiment.schema import Experiment
from medtl.imaging.settings import ImageSettings
from medtl.model.package import save
from medtl.module.classifier import Classifier

MakeClassifier = Callable[[int], Classifier]
MakePackage = Callable[..., Path]


@pytest.fixture(scope="session")
def experiment() -> Experiment:
    return Experiment.model_validate(
        {
            "name": "tiny",
            "task": {"classes": {"normal": ["NORMAL"], "ill": ["ILL", "1"]}, "positive": "ill"},
            "scope": {"modality": "CR", "age": [0, 18]},
            "cohorts": [{"name": "folders"}],
            "image": {"size": 32},
            "backbone": {"name": "test_resnet", "weights": "none"},
            "transfer": {"strategy": "scratch"},
        }
    )


@pytest.fixture(scope="session")
def classifier() -> MakeClassifier:
    """`classifier(seed)`: two classes, random weights everywhere, statistics that are not the initial ones."""

    @functools.cache
    def build(seed: int) -> Classifier:
        torch.manual_seed(seed)
        made = Classifier(build_network(BackboneSettings(name="test_resnet", weights="none"), ImageSettings(size=32), Path(), seed), 2)
        torch.nn.init.normal_(made.head.weight)
        for name, buffer in made.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(0, 0.1)
        return made.eval()

    return lambda seed: copy.deepcopy(build(seed))


@pytest.fixture
def package(tmp_path: Path, experiment: Experiment, classifier: MakeClassifier) -> MakePackage:
    """`package(members=1, **changed)` → the folder of a saved package; `members`: how many, or the classifiers themselves."""

    def make(members: int | list[Classifier] = 1, folder: str = "model", **changed: object) -> Path:
        arguments = {
            "members": [classifier(seed) for seed in range(members)] if isinstance(members, int) else members,
            "experiment": experiment,
            "calibration": Calibration(1.5, (0.25, -0.25)),
            "threshold": 0.4,
            "prior_shift": [0.0, 0.5],
            "training": {"images": {"train": {"ill": 10}, "validation": {"ill": 4}}},
            "fitted_n": 4,
            **changed,
        }
        save(tmp_path / folder, **arguments)  # type: ignore[arg-type]
        return tmp_path / folder

    return make
