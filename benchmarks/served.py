"""What the benchmarks of serving share: a package of any network, made radiographs, and the files that they are kept in."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom.uid import ExplicitVRLittleEndian

from medtl.phantom.cases import Case, draw_cases
from medtl.phantom.dicom import encode
from medtl.phantom.hospitals import Device
from medtl.phantom.radiograph import Radiograph, radiograph
from medtl.phantom.settings import PhantomSettings

SIDE = 224
ROOT = Path(__file__).parents[1]
ROWS, COLUMNS = 2500, 2048
_CONFIG = ROOT / "configs" / "phantom_chest.yaml"


def random_package(network: str, folder: Path, **image: Any) -> Path:
    """A package of random weights, made in seconds: speed does not ask for others. It has no gate and no figures."""
    import torch

    from medtl.backbones.network import build_network
    from medtl.decisions.calibration import Calibration
    from medtl.experiment.schema import Experiment
    from medtl.model.package import save
    from medtl.module.classifier import Classifier

    settings = {
        "name": network, "task": {"classes": {"normal": ["0"], "ill": ["1"]}}, "cohorts": [{"name": "folders"}],
        "image": {"size": SIDE, **image}, "backbone": {"name": network, "weights": "none"}, "transfer": {"strategy": "scratch"},
    }  # fmt: skip
    experiment = Experiment.model_validate(settings)
    torch.manual_seed(0)
    classifier = Classifier(build_network(experiment.backbone, experiment.image, Path(), 0), 2)
    torch.nn.init.normal_(classifier.head.weight)
    save(folder, [classifier.eval()], experiment, Calibration.identity(2), 0.5, [0.0, 0.0])
    return folder


def probed_package(network: str, place: Path) -> Path:
    """A run with all that a served model has (gate, calibration, figures): a linear probe of random weights on a few made radiographs."""
    import timm
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    save_file(timm.create_model(network).state_dict(), place / "random.safetensors")
    (place / "images").mkdir()
    changed = {
        "name": "load", "image.size": SIDE, "backbone.name": network, "backbone.weights": place / "random.safetensors",
        "transfer.strategy": "linear-probe", "cohorts": "[{name: phantom, kind: chest, patients: 60}]",
    }  # fmt: skip
    command = [sys.executable, "-m", "medtl", "train", str(_CONFIG), "--data", str(place / "images"), "--out", str(place / "run")]
    for key, value in changed.items():
        command += ["--set", f"{key}={value}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return place / "run"


def phantoms(count: int, size: int, seed: int = 1) -> list[tuple[Case, Radiograph]]:
    """Made radiographs of so many patients, `size` pixels on the longer side."""
    settings = PhantomSettings(kind="chest", size=size, patients=count, images=1, seed=seed)
    return [(case, radiograph(case, settings)) for case in draw_cases(settings)[:count]]


def png(shown: NDArray[np.floating]) -> bytes:
    """8 bits."""
    return cv2.imencode(".png", (shown.clip(0, 1) * 255).astype(np.uint8))[1].tobytes()


def large(picture: Radiograph) -> Radiograph:
    """The middle 2,048 columns of a picture of 2,500 rows."""
    start = (picture.shown.shape[1] - COLUMNS) // 2
    return replace(picture, shown=picture.shown[:, start : start + COLUMNS])


def dicom(case: Case, picture: Radiograph) -> bytes:
    """16 bits, uncompressed."""
    return encode(case, picture, "a", Device("made", "DX", 16, "MONOCHROME2", True, ExplicitVRLittleEndian))
