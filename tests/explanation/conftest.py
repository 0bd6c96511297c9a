"""Models of any network, with random weights, that need no folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from medtl.backbones import BackboneSettings, Features
from medtl.backbones.network import Network, build_network
from medtl.imaging.settings import ImageSettings
from medtl.model.format import signed
from medtl.model.model import Model
from medtl.module.classifier import Classifier

MakeModel = Callable[..., Model]


@pytest.fixture(scope="session")
def model() -> MakeModel:
    """`model(network, size, classes=2, members=1, channels=3, features="last")`: `network` is a name, or a ready one."""

    def make(
        network: str | Network, size: int, classes: int = 2, members: int = 1, channels: int = 3, features: Features = "last"
    ) -> Model:
        image = ImageSettings(size=size, channels=channels)
        built = [_classifier(network, image, classes, seed, features) for seed in range(members)]
        task = {"classes": {f"class {k}": [] for k in range(classes)}}
        package = signed(
            {
                "medtl": "0", "created": "", "name": "made", "task": task, "image": image,
                "network": built[0].network.description,
                "weights": [{"file": f"weights-{m}.safetensors", "sha256": "0" * 64} for m in range(members)],
                "prior_shift": [[0.0] * classes] * members, "calibration": {"temperature": 1.0, "intercept": [0.0] * classes},
                "operating_point": {"rule": "youden" if classes == 2 else "argmax", "threshold": 0.5 if classes == 2 else None},
            }
        )  # fmt: skip
        return Model(package, built, Path(), torch.device("cpu"))

    return make


def _classifier(network: str | Network, image: ImageSettings, classes: int, seed: int, features: Features) -> Classifier:
    torch.manual_seed(seed)
    if isinstance(network, str):
        options = {"mlp_ratio": 0.02} if network.startswith("vgg") else {}  # 4096 hidden channels cost seconds, prove nothing
        settings = BackboneSettings(name=network, weights="none", features=features, options=options)
        network = build_network(settings, image, Path(), seed)
    made = Classifier(network, classes)
    torch.nn.init.normal_(made.head.weight)
    torch.nn.init.normal_(made.head.bias)
    return made.eval().requires_grad_(False)
