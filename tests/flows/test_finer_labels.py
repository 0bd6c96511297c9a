"""Labels finer than the question: learned as outputs of their own, answered as the classes they belong to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from medtl import records
from medtl.errors import MedtlError
from medtl.flows.evaluate import evaluate
from medtl.flows.predict import predict
from medtl.flows.report import report
from medtl.flows.train import train
from medtl.model.model import Model
from medtl.module.classifier import Classifier

SIDE = 32
SHAPES = ("dot", "ring", "cross", "bar")
CONFIG = """
name: shapes
task: {classes: {round: [dot, ring], straight: [cross, bar]}, learn: spellings}
cohorts: [{name: csv, table: table.csv, image: file, label: shape, patient: who}]
split: {validation: 0.25, test: 0.25, seed: 3}
image: {size: 32, channels: 1}
backbone: {name: mobilenetv3_small_050, weights: weights.safetensors}
transfer: {strategy: lp-ft, epochs: 1, batch: 16, rate: 0.0002, probe_penalty: [0.1, 1], batch_norm: frozen}
trainer: {device: cpu, threads: 1, precision: float32}
"""


def picture(shape: str, random: np.random.Generator) -> Image.Image:
    across, down = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    x, y = random.uniform(11, 21, size=2)
    far = np.hypot(across - x, down - y)
    inside = {
        "dot": far < 6, "ring": np.abs(far - 8) < 2,
        "cross": np.minimum(np.abs(across - x), np.abs(down - y)) < 2, "bar": np.abs(across - x) < 3,
    }[shape]  # fmt: skip
    return Image.fromarray(np.clip(random.normal(90, 10, (SIDE, SIDE)) + 80 * inside, 0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import timm
    from safetensors.torch import save_file

    folder, random, rows = tmp_path_factory.mktemp("data"), np.random.default_rng(0), []
    for number in range(160):
        shape = SHAPES[number % 4]
        picture(shape, random).save(folder / f"{number:03d}.png")
        rows.append((f"{number:03d}.png", shape, f"p{number}"))
    pd.DataFrame(rows, columns=["file", "shape", "who"]).to_csv(folder / "table.csv", index=False)
    torch.manual_seed(0)
    save_file(timm.create_model("mobilenetv3_small_050").state_dict(), folder / "weights.safetensors")
    (folder / "shapes.yaml").write_text(CONFIG)
    return folder


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(data / "shapes.yaml", out=tmp_path_factory.mktemp("runs") / "finer").folder


def test_a_class_is_as_probable_as_its_spellings_together(data: Path, run: Path, tmp_path: Path) -> None:
    model = Model.load(run / "model")
    member = model.members[0]
    assert member.head.out_features == 4
    images = torch.rand(3, 1, 32, 32)
    with torch.no_grad():
        finer = member.learned(member.network.features(images)).softmax(dim=1)
        classes = member(images).softmax(dim=1)
    torch.testing.assert_close(classes, torch.stack([finer[:, :2].sum(1), finer[:, 2:].sum(1)], dim=1))
    assert [name for name in predict(run, [data / "000.png"], tmp_path / "answers.csv").columns if name.startswith("p_")] == [
        "p_round",
        "p_straight",
    ]


def test_the_network_learned_the_spellings(data: Path, run: Path) -> None:
    """The head tells a dot from a ring, which the classes alone would never have taught it."""
    member = Model.load(run / "model").members[0]
    assert set(records.read(run / "records.csv").query("label == 'round'")["spelling"]) == {"dot", "ring"}
    names = [f"{number:03d}.png" for number in range(160) if number % 4 < 2]
    pixels = torch.from_numpy(np.stack([np.array(Image.open(data / name)) for name in names])[:, None]).float() / 255
    with torch.no_grad():
        logits = member.learned(member.network.features(pixels))[:, :2]
    truth = torch.tensor([int(name[:3]) % 4 for name in names])
    assert (logits.argmax(dim=1) == truth).float().mean() > 0.8


def test_the_spelling_is_the_label_and_no_telltale_of_it(data: Path, run: Path, tmp_path: Path) -> None:
    """It tells the class with an AUROC of 1, and is no finding of the audit; how many there are of each stands in the first table."""
    audit = (run / "audit.json").read_text()
    assert "TELLTALE_SPELLING" not in audit
    assert "'spelling'" not in audit
    report(run)
    first = (run / "report" / "table_1.csv").read_text()
    assert "spelling: ring" in first
    assert not [*(run / "report").glob("*subgroup*")], "no patient's property was kept to compare by"
    with pytest.raises(MedtlError, match="keep: 'spelling' is a name that records use themselves"):
        train(data / "shapes.yaml", overrides=["keep=[spelling]"], out=tmp_path / "run")


def test_outside_labels_may_name_the_classes(data: Path, run: Path, tmp_path: Path) -> None:
    table = pd.read_csv(data / "table.csv").rename(columns={"file": "image", "shape": "label"})
    table["label"] = table["label"].map({"dot": "round", "ring": "ring", "cross": "straight", "bar": "bar"})
    table.to_csv(data / "outside.csv", index=False)
    done = evaluate(run, data / "outside.csv", out=tmp_path / "outside", allow_seen=True)
    assert set(done.metrics["per_class"]) == {"round", "straight"}
    assert done.metrics["auroc"]["value"] > 0.8


def test_what_cannot_be_is_refused(data: Path, tmp_path: Path) -> None:
    for override, said in (
        ("imbalance.sampler=balanced", "shifts the classes' shares"),
        ("imbalance.loss=weighted", "shifts the classes' shares"),
        ("task.classes={round: [dot], straight: [bar]}", "changes nothing"),
    ):
        with pytest.raises(MedtlError, match=said):
            train(data / "shapes.yaml", overrides=[override], out=tmp_path / "run")
    table = pd.read_csv(data / "table.csv")
    table.loc[0, "shape"] = "round"
    table.to_csv(data / "half.csv", index=False)
    with pytest.raises(MedtlError, match="1 row with the label 'round', which says the class and not which of its spellings"):
        train(data / "shapes.yaml", overrides=["cohorts.0.table=half.csv"], out=tmp_path / "run")


def test_one_output_each_is_the_classifier_as_ever() -> None:
    class Pooled(nn.Module):
        dim = 5

        def features(self, images: torch.Tensor) -> torch.Tensor:
            return images.mean(dim=(2, 3))

    member = Classifier(Pooled(), 3).eval()  # type: ignore[arg-type]
    features = torch.rand(4, 5)
    assert torch.equal(member.classify(features), member.learned(features))
