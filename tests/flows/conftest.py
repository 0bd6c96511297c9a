"""A finished run on made images, without training: random networks, real records, store, tables and package."""

from __future__ import annotations

import functools
import runpy
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from medtl import predictions, records
from medtl.backbones.network import build_network
from medtl.cohorts.joining import read_cohorts
from medtl.cohorts.splitting import fold_records, make_records
from medtl.decisions.calibration import Calibration
from medtl.evaluation import metrics_file
from medtl.evaluation.summary import summarize
from medtl.experiment.save import save_experiment
from medtl.experiment.schema import Experiment
from medtl.files import write_json
from medtl.flows.judging import judge
from medtl.imaging.cache import cache_dir
from medtl.imaging.store import Store, open_store
from medtl.model.model import Model
from medtl.model.package import save
from medtl.module.classifier import Classifier
from medtl.records import KEY

ROOT = Path(__file__).parents[2]
MakeRun = Callable[..., Path]


@pytest.fixture(autouse=True)
def without_reports(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports have tests of their own; a second of drawing at the end of each training and evaluation would be most of the others' time."""
    if request.path.name != "test_report.py":
        monkeypatch.setattr("medtl.flows.report.said", lambda *_: None)


@pytest.fixture(scope="session")
def write_image() -> Callable[[Path, int], None]:
    """`write_image(path, seed)`: a PNG of noise."""

    def write(path: Path, seed: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(seed).integers(0, 256, (36, 40), dtype=np.uint8)).save(path)

    return write


@pytest.fixture(scope="session")
def discs_and_squares(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`discs_and_squares(config, per_class, images=1)`: a new folder to train in.

    `tiny.yaml`; that many pictures of each shape; `table.csv` (file, shape, who: so many images are of one patient); and
    `weights.safetensors` for mobilenetv3_small_050, of no use but of the right shape.
    """

    def make(config: str, per_class: int, images: int = 1) -> Path:
        import timm
        from safetensors.torch import save_file

        folder = tmp_path_factory.mktemp("data")
        runpy.run_path(str(ROOT / "tools" / "made_pictures.py"))["make_pictures"](folder, per_class)
        files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))
        shapes, patients = [name.split("/")[0] for name in files], [f"p{row // images}" for row in range(len(files))]
        pd.DataFrame({"file": files, "shape": shapes, "who": patients}).to_csv(folder / "table.csv", index=False)
        save_file(timm.create_model("mobilenetv3_small_050").state_dict(), folder / "weights.safetensors")
        (folder / "tiny.yaml").write_text(config)
        return folder

    return make


@pytest.fixture(scope="session")
def discs_or_squares(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`discs_or_squares(config, images=120, backbone=…)`: a new folder to train in, for several findings per image.

    `shapes.yaml`; pictures of a disc, a square, both or neither; `table.csv` (file, who: two images are of one patient, Disc, Square): of
    each in ten it is unknown, written as -1 for a disc and as nothing for a square; and `weights.safetensors` for the backbone.
    """

    def make(config: str, images: int = 120, backbone: str = "mobilenetv3_small_050") -> Path:
        import timm
        from safetensors.torch import save_file

        folder = tmp_path_factory.mktemp("data")
        random, rows = np.random.default_rng(0), []
        for number in range(images):
            disc, square = int(random.random() < 0.5), int(random.random() < 0.3)
            disc_or_square(disc, square, random).save(folder / f"{number:03d}.png")
            known = [str(value) if random.random() > 0.1 else hidden for value, hidden in ((disc, "-1"), (square, ""))]
            rows.append((f"{number:03d}.png", f"p{number // 2}", *known))
        pd.DataFrame(rows, columns=["file", "who", "Disc", "Square"]).to_csv(folder / "table.csv", index=False)
        save_file(timm.create_model(backbone).state_dict(), folder / "weights.safetensors")
        (folder / "shapes.yaml").write_text(config)
        return folder

    return make


def disc_or_square(disc: int, square: int, random: np.random.Generator) -> Image.Image:
    """40 pixels square: noise, and brighter where a disc (left) or a square (right) is."""
    across, down = np.meshgrid(np.arange(40), np.arange(40))
    values = random.normal(80, 12, size=(40, 40))
    if disc:
        values += 90 * (np.hypot(across - 11, down - random.uniform(10, 30)) < random.uniform(6, 9))
    if square:
        values += 90 * (np.maximum(np.abs(across - 29), np.abs(down - random.uniform(10, 30))) < random.uniform(5, 8))
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


@pytest.fixture(scope="session")
def write_hospital() -> Callable[..., None]:
    """`write_hospital(folder, domain, count, seed, table=f"{domain}.csv")`: pictures of `count` / 2 patients with a disc and a square each;
    `there` another device makes them darker."""
    picture = runpy.run_path(str(ROOT / "tools" / "made_pictures.py"))["picture"]

    def write(folder: Path, domain: str, count: int, seed: int, table: str = "") -> None:
        rng, rows = np.random.default_rng(seed), []
        (folder / domain).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            shape = ("disc", "square")[number % 2]
            values = picture(shape, rng) if domain == "here" else 220 * (picture(shape, rng) / 255) ** 2
            name = f"{domain}/{seed}-{number:03d}.png"
            Image.fromarray(np.clip(values, 0, 255).astype(np.uint8)).save(folder / name)
            rows.append((name, shape, f"{domain}-{seed}-{number // 2}"))
        pd.DataFrame(rows, columns=["image", "label", "patient_id"]).to_csv(folder / (table or f"{domain}.csv"), index=False)

    return write


@pytest.fixture(scope="session")
def first_data(tmp_path_factory: pytest.TempPathFactory, write_image: Callable[[Path, int], None]) -> Path:
    place = tmp_path_factory.mktemp("first") / "data"
    for i in range(40):
        write_image(place / ("NORMAL" if i % 2 else "ILL") / f"p{i // 2:02d}_{i}.png", i)
    return place


@pytest.fixture
def data(tmp_path: Path, first_data: Path) -> Path:
    """40 images of 20 patients, two classes; a copy that a test may change."""
    return shutil.copytree(first_data, tmp_path / "data")


def experiment_of(folds: int | None) -> Experiment:
    split = {"folds": folds, "validation": 0.4} if folds else {"test": 0.4, "validation": 0.3}
    return Experiment.model_validate(
        {
            "name": "made",
            "task": {"classes": {"normal": ["NORMAL"], "ill": ["ILL"]}, "positive": "ill"},
            "cohorts": [{"name": "folders", "patient": {"from": "filename", "pattern": r"(p\d+)_"}}],
            "split": {"seed": 1, **split},
            "image": {"size": 32},
            "backbone": {"name": "test_resnet", "weights": "none"},
            "transfer": {"strategy": "scratch"},
        }
    )


def classifier_of(experiment: Experiment, seed: int) -> Classifier:
    torch.manual_seed(seed)
    made = Classifier(build_network(experiment.backbone, experiment.image, Path(), seed), 2)
    torch.nn.init.normal_(made.head.weight)
    return made.eval()


@pytest.fixture
def make_run(tmp_path: Path, data: Path, first_run: Callable[[int | None, int], Path]) -> MakeRun:
    """`make_run(folder="run", folds=None, seed=0)` → the folder of a run as `medtl train` leaves it; a copy that a test may change."""

    def make(folder: str = "run", folds: int | None = None, seed: int = 0) -> Path:
        place = shutil.copytree(first_run(folds, seed), tmp_path / folder)
        write_json(place / "environment.json", {"format": 1, "data_root": str(data.resolve())})
        return place

    return make


@pytest.fixture(scope="session")
def first_run(tmp_path_factory: pytest.TempPathFactory, first_data: Path) -> Callable[[int | None, int], Path]:
    @functools.cache
    def make(folds: int | None, seed: int) -> Path:
        return finished_run(tmp_path_factory.mktemp("first") / "run", first_data, folds, seed)

    return make


@pytest.fixture(scope="session")
def run_on(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """`run_on(data)` → the folder of a run on other images, which all tests share."""

    def make(data: Path) -> Path:
        place = finished_run(tmp_path_factory.mktemp("other") / "run", data, None, 0)
        write_json(place / "environment.json", {"format": 1, "data_root": str(data.resolve())})
        return place

    return make


def finished_run(place: Path, data: Path, folds: int | None, seed: int) -> Path:
    experiment = experiment_of(folds)
    table = read_cohorts(experiment, data).table.sort_values(KEY, ignore_index=True)
    store = open_store(table[KEY], data, experiment.image, cache_dir())
    rows = make_records(table, store.measurements, experiment, data)
    members = [classifier_of(experiment, seed + fold) for fold in range(folds or 1)]
    for fold, member in enumerate(members if folds else []):
        finish(place / "folds" / str(fold), experiment, [member], fold_records(rows, fold, experiment.split), store)
    finish(place, experiment, members, rows, store)
    save_experiment(experiment, place / "experiment.yaml")
    return place


def finish(place: Path, experiment: Experiment, members: list[Classifier], rows: pd.DataFrame, store: Store) -> None:
    place.mkdir(parents=True, exist_ok=True)
    learned = rows["split"].isin(["train", "validation"]).to_numpy()
    images = store.measurements["pixel_hash"][learned]
    save(place / "model", members, experiment, Calibration.identity(2), 0.5, [0.0, 0.0], training_images=images)
    records.write(rows, place / "records.csv")
    validation = np.flatnonzero(rows["split"] == "validation")
    table = judge(Model.load(place / "model", "cpu"), rows.iloc[validation], store, validation)
    predictions.write(table, place / "predictions.csv")
    metrics_file.write(place / "metrics.json", {"validation": summarize(table, experiment.task)}, "patient", looks=0)
