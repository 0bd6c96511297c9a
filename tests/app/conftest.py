"""Small packages for the page, and one picture in many kinds of file."""

from __future__ import annotations

import contextlib
import copy
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import nibabel
import numpy as np
import pytest
import torch
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from medtl.backbones.network import build_network
from medtl.decisions.calibration import Calibration
from medtl.experiment.schema import Experiment
from medtl.model.package import save
from medtl.module.classifier import Classifier

ROOT = Path(__file__).parents[2]
MakePackage = Callable[..., Path]
NAME = "ZZCANARY"
"""In every file name and header: what must be found nowhere afterwards."""


_spec = importlib.util.spec_from_file_location("medtl_labelled_cases", Path(__file__).with_name("labelled_cases.py"))
assert _spec is not None
assert _spec.loader is not None
_cases = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_cases)


def share_figures(precision: float = 0.9, support: int = 40) -> dict[str, Any]:
    share = {"value": 0.8, "low": 0.7, "high": 0.87}
    return {
        "precision": {"value": precision, "low": precision - 0.1, "high": precision + 0.05}, "recall": share, "f1": share,
        "prevalence": {"value": 0.25, "low": 0.2, "high": 0.3}, "support": support,
    }  # fmt: skip


def entry(classes: list[str], precision: float = 0.9) -> dict[str, Any]:
    per_class = {name: share_figures(precision) for name in classes}
    return {"n": 80, "groups": 60, "auroc": {"value": 0.93, "low": 0.9, "high": 0.95}, "per_class": per_class}


def metrics(splits: dict[str, dict[str, Any]], looks: int = 1) -> dict[str, Any]:
    return {"format": 1, "unit": "patient", "looks": looks, "splits": splits}


@pytest.fixture
def figures() -> Callable[[list[str]], dict[str, Any]]:
    """`figures(["test"])`: a metrics.json of the two classes."""
    return lambda splits: metrics({name: entry(["normal", "ill"]) for name in splits})


@pytest.fixture(scope="session")
def package() -> MakePackage:
    """`package(folder, classes=("normal", "ill"), name="lungs", members=1, seed=0, **changed)` → a saved package."""

    def make(
        folder: Path, classes: tuple[str, ...] = ("normal", "ill"), name: str = "lungs", members: int = 1, seed: int = 0, **changed: Any
    ) -> Path:
        experiment = Experiment.model_validate(
            {
                "name": name, "task": {"classes": {each: [each.upper()] for each in classes}}, "scope": {"modality": ["DX"]},
                "cohorts": [{"name": "folders"}], "image": {"size": 32}, "backbone": {"name": "test_resnet", "weights": "none"},
                "transfer": {"strategy": "scratch"}, "split": {"folds": members if members > 1 else None},
            }
        )  # fmt: skip
        arguments = {
            "members": [_classifier(experiment, seed + m) for m in range(members)], "experiment": experiment,
            "calibration": Calibration.identity(len(classes)), "threshold": 0.4 if len(classes) == 2 else None,
            "prior_shift": np.zeros(len(classes)), "training": {"images": {"train": dict.fromkeys(classes, 10)}}, "fitted_n": 8,
            "metrics": metrics({"validation": entry(list(classes), 0.7), "test": entry(list(classes))}), **changed,
        }  # fmt: skip
        save(folder, **arguments)
        return folder

    return make


def _classifier(experiment: Experiment, seed: int) -> Classifier:
    torch.manual_seed(seed)
    made = Classifier(build_network(experiment.backbone, experiment.image, Path(), seed), len(experiment.task.names))
    torch.nn.init.normal_(made.head.weight)
    return copy.deepcopy(made).eval()


@pytest.fixture(scope="session")
def marker() -> np.ndarray:
    """uint8 (40, 60): a bright L at the upper left over a ramp; no turn or flip maps it onto itself."""
    rows, columns = np.mgrid[0:40, 0:60]
    picture = (rows + 2 * columns).astype(np.uint8)
    picture[4:24, 5:9] = picture[20:24, 5:20] = 255
    picture[39, 59] = picture[0, 0] = 0
    return picture


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory, marker: np.ndarray) -> dict[str, Path]:
    """The marker in one file of each kind, and files that hold several images or none."""
    place = tmp_path_factory.mktemp("files")
    stack = np.stack([marker, np.flipud(marker), np.fliplr(marker)])
    volume = np.stack([marker.T[::-1, ::-1]] * 5, axis=2)  # x to the patient's right, y to the front: both are turned for display
    volume[..., 0] = 7  # a blank first slice
    made = {kind: place / f"{NAME} {kind}{suffix}" for kind, suffix in
            {"png": ".png", "jpeg": ".jpg", "tiff": ".tif", "several": ".tif", "npz": ".npz", "nifti": ".nii.gz", "picture": ".nii",
             "dicom": ".dcm", "ct": ".dcm", "frames": "", "empty": ".dcm", "cut": ".png", "text": ".txt"}.items()}  # fmt: skip
    cv2.imwrite(str(made["png"]), marker)
    Image.fromarray(np.stack([marker] * 3, axis=2)).save(made["jpeg"], quality=100, subsampling=0)
    Image.fromarray(marker).save(made["tiff"])
    Image.fromarray(stack[0]).save(made["several"], save_all=True, append_images=[Image.fromarray(each) for each in stack[1:]])
    np.savez(made["npz"], train_images=stack, labels=np.arange(3))
    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), made["nifti"])
    nibabel.save(nibabel.Nifti1Image(volume[..., 2], np.eye(4)), made["picture"])
    _dicom(made["dicom"], 255 - marker, PhotometricInterpretation="MONOCHROME1")
    _dicom(made["ct"], marker, Modality="CT")
    _dicom(made["frames"], stack, NumberOfFrames=3)
    made["empty"].write_bytes(b"")
    made["cut"].write_bytes(made["png"].read_bytes()[:200])
    made["text"].write_text(f"{NAME} is no image")
    return made


def _dicom(path: Path, stored: np.ndarray, **elements: Any) -> None:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = CTImageStorage, generate_uid(), "CR"
    dataset.PatientName, dataset.PatientID = f"{NAME}^Ann", NAME
    dataset.Rows, dataset.Columns = stored.shape[-2:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation, dataset.PixelData = 7, 0, stored.tobytes()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)


class Page(NamedTuple):
    address: str
    folder: Path
    """Where its private folder lies."""
    log: Path
    process: int = 0

    def left(self) -> list[str]:
        """Uploads, and what was made of them, that are still on disk."""
        there = [(files, folders) for _, folders, files in os.walk(self.folder)]  # unlike rglob, it bears that things go meanwhile
        own = [name for _, folders in there for name in folders if not name.startswith(("medtl-page-", "vibe_"))]
        return [*own, *(name for files, _ in there for name in files)]


@contextlib.contextmanager
def _served(place: Path, *models: Path, options: Sequence[object] = ()) -> Iterator[Page]:
    """`python app.py MODEL … [OPTION …]` with a temporary folder of its own, ended by SIGTERM."""
    (place / "tmp").mkdir()
    environment = {**os.environ, "TMPDIR": str(place / "tmp"), "HTTP_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
    with (place / "log").open("wb") as log:
        command = [sys.executable, str(ROOT / "app.py"), *map(str, models), "--no-browser", *map(str, options)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=environment, text=True)
        assert process.stdout is not None
        try:
            said = process.stdout.readline()
            address = re.search(r"https?://(?:127\.0\.0\.1|localhost):\d+", said)
            assert address, said + (place / "log").read_text()
            yield Page(address[0], place / "tmp", place / "log", process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            last = process.communicate(timeout=60)[0]
    assert process.returncode == 0
    assert "nothing that was uploaded is left" in last
    assert not any((place / "tmp").glob("medtl-page-*"))


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., contextlib.AbstractContextManager[Page]]:
    """`with served(MODEL, …) as page`: see `_served`."""
    return lambda *models, options=(): _served(tmp_path_factory.mktemp("page"), *models, options=options)


@pytest.fixture(scope="session")
def labelled_cases() -> Any:
    """A hospital's cases: see the module of this name."""
    return _cases


@pytest.fixture(scope="session")
def judged(package: MakePackage, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package whose figures of its own hospital were measured, on other made images."""
    from medtl.flows import report
    from medtl.flows.evaluate import evaluate

    place = tmp_path_factory.mktemp("judged")
    made = package(place / "lungs", metrics={"format": 1, "unit": "patient", "looks": 1, "splits": {}})
    rows = _cases.rows(60)
    (place / "own" / "images").mkdir(parents=True)
    for number, row in enumerate(rows):
        (place / "own" / row[0]).write_bytes(_cases.picture(5000 + number))
    (place / "own" / "labels.csv").write_bytes(_cases.table(rows))
    columns = {"image": "file", "label": "finding", "patient_id": "patient"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDTL_STATE", str(place / "state"))
        patch.setenv("MEDTL_CACHE", str(place / "cache"))
        patch.setattr(report, "said", lambda *_: None)  # drawing takes longest, and nobody reads this one
        done = evaluate(made, place / "own" / "labels.csv", columns, {"Sick": "ill", "No finding": "normal"}, place / "out")
    figures = json.loads((made / "metrics.json").read_text())
    figures["splits"]["test"] = json.loads((done.folder / "metrics.json").read_text())["splits"]["external"]
    (made / "metrics.json").write_text(json.dumps(figures))
    return made
