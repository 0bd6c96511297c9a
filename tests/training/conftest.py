"""A store, a network and a config small enough to train in a second."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from medtl.augmentation import AugmentationSettings
from medtl.batches import Part
from medtl.datamodule import StoredImages
from medtl.experiment.schema import Experiment
from medtl.imbalance import ImbalanceSettings
from medtl.module.classifier import Classifier
from medtl.terminal import Line
from medtl.training.balance import balance
from medtl.training.finetune import Tuned, finetune
from medtl.training.job import Job
from medtl.training.log import Log
from medtl.transfer import TransferSettings

SIZE = 16


class ArrayStore:
    """The part of `imaging.store.Store` that training uses, over an array in memory."""

    key = "made"

    def __init__(self, images: np.ndarray):
        self.images = images
        self.measurements = pd.DataFrame({"sha256": [f"{number:064x}" for number in range(len(images))], "frame": 0})

    def read(self, indices: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        return self.images[indices]

    def __len__(self) -> int:
        return len(self.images)


class TinyNetwork(nn.Module):
    """Two convolutions with a batch norm; knows its own statistics, like `backbones.network.Network`."""

    dim = 8
    dims = (8,)

    def __init__(self, channels: int = 1):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, 8, 3, 2, 1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, 2, 1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.description, self.provenance = {"architecture": "tiny"}, {"source": "none"}

    def features(self, x: Tensor) -> Tensor:
        return self.body((x - 0.5) / 0.25)

    forward = features

    def stages(self) -> list[list[str]]:
        names = [name for name, _ in self.named_parameters()]
        return [[name for name in names if name.startswith(layers)] for layers in (("body.0.", "body.1."), ("body.3.",))]

    def auxiliary(self) -> None:
        return None


def make_images(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Noise, with a bright square in the upper left where the class is 1."""
    rng = np.random.default_rng(seed)
    images, targets = rng.integers(0, 160, (n, SIZE, SIZE, 1), np.uint8), rng.integers(0, 2, n)
    images[targets == 1, 2:8, 2:8] += 90
    return images, targets.astype(np.int64)


@pytest.fixture
def experiment() -> Experiment:
    return Experiment.model_validate(
        {
            "name": "tiny",
            "task": {"classes": {"dark": ["0"], "bright": ["1"]}},
            "cohorts": [{"name": "folders"}],
            "backbone": {"name": "tiny", "weights": "imagenet"},
            "image": {"size": SIZE, "channels": 1},
            "transfer": {"strategy": "full", "epochs": 4, "batch": 8, "rate": 0.01, "ema": 0.9},
            "trainer": {"device": "cpu", "threads": 1, "precision": "float32"},
        }
    )


@pytest.fixture
def data() -> StoredImages:
    images, targets = make_images(60)
    places = np.arange(60)
    store = ArrayStore(images)
    train, validation = Part(places[:40], targets[:40]), Part(places[40:], targets[40:])
    return StoredImages(store, train, validation, AugmentationSettings(), batch=8, seed=0)  # type: ignore[arg-type]


@pytest.fixture
def classifier() -> Classifier:
    torch.manual_seed(0)
    return Classifier(TinyNetwork(), 2, dropout=0.3)  # type: ignore[arg-type]


@pytest.fixture
def job(data: StoredImages, experiment: Experiment, tmp_path: Path) -> Callable[..., Job]:
    """A job in `folder` with these settings of `transfer` and `imbalance` in place of the experiment's."""

    def made(folder: Path = tmp_path / "checkpoints", said: io.StringIO | None = None, imbalance: Any = None, **transfer: Any) -> Job:
        changed = {
            "transfer": TransferSettings(**{**experiment.transfer.model_dump(), "ema": 0.0, **transfer}),
            "imbalance": ImbalanceSettings(**(imbalance or {})),
        }
        own = experiment.model_copy(update=changed)
        line, log = Line(said or io.StringIO()), Log(folder.parent / "log.jsonl")
        balanced = balance(own, data.train.targets)
        return Job(own, data.store, data.train, data.validation, balanced, folder, folder.parent / "cache", log, line, [])

    return made


@pytest.fixture
def tune(data: StoredImages, job: Callable[..., Job]) -> Callable[..., Tuned]:
    """Fine-tune a classifier by such a job."""

    def fine_tune(classifier: Classifier, folder: Path, batches: StoredImages = data, **settings: Any) -> Tuned:
        return finetune(job(folder, **settings), classifier, batches)

    return fine_tune
