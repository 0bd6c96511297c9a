"""The gate through training, prediction, evaluation: one set of reasons everywhere, sets on held-out images, nothing for `gate: none`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from medtl import predictions, records
from medtl.errors import MedtlError
from medtl.flows.check import check
from medtl.flows.evaluate import evaluate
from medtl.flows.predict import predict
from medtl.flows.train import train
from medtl.model import format as package_format
from medtl.model.model import Model
from medtl.predictions import NO_ANSWER

CONFIG = """
name: tiny
task: {classes: {disc: [disc], square: [square]}, positive: square}
scope: {modality: [DX], view: [PA, AP], age: [18, 130]}
cohorts: [{name: csv, table: table.csv, image: file, label: shape}]
split: {by: image, validation: 0.2, test: 0.2, seed: 3, held_out: 0.4}
image: {size: 32, channels: 1}
backbone: {name: mobilenetv3_small_050, weights: weights.safetensors}
transfer: {strategy: linear-probe, probe_penalty: [0.1, 1]}
decision: {gate: {refuse: 0.3}, conformal: {alpha: 0.2}}
trainer: {device: cpu, threads: 1}
"""


@pytest.fixture(scope="module")
def data(discs_and_squares: Callable[..., Path]) -> Path:
    return discs_and_squares(CONFIG, 40)


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(data / "tiny.yaml", out=tmp_path_factory.mktemp("runs") / "run", with_report=False).folder


def test_training_and_the_package_say_the_same_of_the_same_images(data: Path, run: Path) -> None:
    judged = predictions.read(run / "predictions.csv").sort_values("image")
    assert set(judged["split"]) == {"validation", "calibration"}
    again = Model.load(run / "model", "cpu").predict([data / name for name in judged["image"]])
    assert again["decision"].tolist() == judged["decision"].tolist()
    assert again["reason"].tolist() == judged["reason"].tolist()
    codes = judged["reason"].str.extract(r"\[(\w+)\]$")[0]
    assert {"UNLIKE_TRAINING", "UNSURE"} <= set(codes.dropna()), "weights of no use: many are unsure"
    assert (judged["predicted"] != "").all()
    assert predictions.probabilities(judged).shape == (len(judged), 2)


def test_the_stated_share_of_validation_groups_is_refused_at_most(run: Path) -> None:
    gate = package_format.read(run / "model").gate
    assert gate is not None
    judged = predictions.read(run / "predictions.csv").query("split == 'validation'")
    refused = judged["reason"].str.endswith("[UNLIKE_TRAINING]").sum()
    assert 0 < refused <= 0.3 * (len(judged) + 1)
    assert gate.groups == len(judged)
    assert gate.expected <= 0.3 < gate.at_most
    assert set(gate.aurocs) == {"mahalanobis", "knn"}
    means = {method: np.mean(list(kinds.values())) for method, kinds in gate.aurocs.items()}
    assert means[gate.method] == pytest.approx(max(means.values()), abs=0.005)


def test_sets_are_fitted_on_what_the_gate_lets_through(run: Path) -> None:
    stored = package_format.read(run / "model").conformal
    assert stored is not None
    rows = predictions.read(run / "predictions.csv").query("split == 'calibration'")
    asked = rows[(rows["reason"] == "") | rows["reason"].str.endswith("[UNSURE]")]
    assert stored["groups"] == [int((asked["truth"] == name).sum()) for name in ("disc", "square")]
    assert 0 < len(asked) < len(rows)
    held = np.where(asked["truth"] == "square", asked["p_square"], asked["p_disc"])
    least = np.where(asked["truth"] == "square", stored["least"][1], stored["least"][0])
    assert (held < least).mean() <= 0.2


def test_strange_poor_and_foreign_images_get_no_answer_in_this_order(data: Path, run: Path, tmp_path: Path, capsys) -> None:
    chance = np.random.default_rng(0)
    place = tmp_path / "files"
    place.mkdir()
    Image.fromarray(chance.integers(0, 256, (64, 64), np.uint8)).save(place / "noise.png")
    flat = np.full((64, 64), 100, np.uint8)
    flat[0, 0] = 101
    Image.fromarray(flat).save(place / "flat.png")
    table = predict(run, [place], tmp_path / "out.csv").set_index("image")
    assert table.loc["noise.png", "reason"].rpartition("[")[2] in {"UNLIKE_TRAINING]", "UNSURE]"}  # by weights of no use
    assert table.loc["flat.png", "decision"] == NO_ANSWER
    assert table.loc["flat.png", "reason"].rpartition("[")[2] in {"QUALITY]", "UNLIKE_TRAINING]"}
    assert (table["predicted"] != "").all()
    assert "no answer 2" in capsys.readouterr().out


def test_outside_data_out_of_scope_by_its_table_is_not_answered_and_still_judged(data: Path, run: Path, tmp_path: Path) -> None:
    rows = records.read(run / "records.csv").query("split == 'test'")
    ages = ["7", "45"] * len(rows)
    manifest = pd.DataFrame({"image": [str(data / name) for name in rows["image"]], "label": rows["label"], "age": ages[: len(rows)]})
    manifest.to_csv(data / "outside.csv", index=False)
    done = evaluate(run, data / "outside.csv", out=tmp_path / "outside")
    young = done.predictions["image"].map(dict(zip(rows["image"], manifest["age"], strict=True))) == "7"
    assert young.sum() > 2
    sentence = "its row of the table says that the patient is 7 years old, and the model is for 18 to 130 years [OUT_OF_SCOPE]"
    assert set(done.predictions.loc[young, "reason"]) == {sentence}
    assert not done.predictions.loc[~young, "reason"].str.contains("OUT_OF_SCOPE").any()
    assert (done.predictions["predicted"] != "").all()
    assert done.metrics["n"] == len(rows)
    assert done.metrics["answered"] == (done.predictions["decision"] != NO_ANSWER).sum() < len(rows)


def test_without_gate_and_sets_everything_that_is_read_is_answered(data: Path, tmp_path: Path) -> None:
    given = ["decision.gate=none", "decision.conformal=null"]
    folder = train(data / "tiny.yaml", overrides=given, out=tmp_path / "run", with_report=False).folder
    read = package_format.read(folder / "model")
    assert (read.gate, read.conformal) == (None, None)
    assert not (folder / "model" / "gate.safetensors").exists()
    judged = predictions.read(folder / "predictions.csv")
    assert (judged["decision"] == judged["predicted"]).all()
    again = train(folder / "experiment.yaml", data=data, out=tmp_path / "again", with_report=False).folder
    assert package_format.read(again / "model").fingerprint == read.fingerprint  # `none` survives the snapshot


def test_an_ensemble_asks_its_first_member(data: Path, tmp_path: Path) -> None:
    given = ["split.folds=2", "split.held_out=null", "decision.conformal=null"]
    folder = train(data / "tiny.yaml", overrides=given, out=tmp_path / "run", with_report=False).folder
    first = json.loads((folder / "folds" / "0" / "model" / "model.json").read_text())["gate"]
    assert json.loads((folder / "model" / "model.json").read_text())["gate"] == first
    image = next(data.rglob("*.png"))
    alone, together = (Model.load(each, "cpu").predict(image) for each in (folder / "folds" / "0" / "model", folder / "model"))
    assert alone["reason"].tolist() == together["reason"].tolist()


def test_sets_of_an_ensemble_are_fitted_on_the_half_that_chose_nothing(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = train(data / "tiny.yaml", overrides=["split.folds=2"], out=tmp_path / "run").folder
    read = package_format.read(folder / "model")
    assert read.conformal is not None
    held = predictions.read(folder / "predictions.csv").query("split == 'calibration'")
    assert sum(read.conformal["groups"]) <= len(held) - read.operating_point.n
    again = Model.load(folder / "model", "cpu").predict([data / name for name in held["image"]])
    assert again["reason"].tolist() == held["reason"].tolist()
    printed = capsys.readouterr()
    assert "Conformal sets (alpha 0.2): of each class at least 80 % of the images have it" in printed.err
    assert "That is said of the ensemble; figures here are of the folds' own networks and thresholds" in printed.err
    evaluate(folder)
    assert "That is said of the ensemble" in capsys.readouterr().out


def test_findings_have_sets_of_their_own_and_an_image_with_an_unsure_one_no_answer(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = ["task={kind: multi, classes: {disc: [], square: []}}", "decision.gate=none"]
    folder = train(data / "tiny.yaml", overrides=task, out=tmp_path / "run").folder
    read, judged = package_format.read(folder / "model"), predictions.read(folder / "predictions.csv")
    assert read.conformal is not None
    assert len(read.conformal["findings"]) == 2
    least = np.array([own["least"] for own in read.conformal["findings"]])
    p = predictions.probabilities(judged)
    sets = np.stack([1 - p, p], axis=2) >= least
    called = np.array([[name in row.split("|") for name in ("disc", "square")] for row in judged["predicted"]])
    sure = (sets.sum(axis=2) == 1).all(axis=1) & (sets[:, :, 1] == called).all(axis=1)
    assert ((judged["decision"] != NO_ANSWER) == sure).all()
    assert 0 < sure.sum() < len(sure)
    held = judged["split"] == "calibration"
    truth = np.stack([judged["truth"] == name for name in ("disc", "square")], axis=1)
    for k, side in ((0, 0), (0, 1), (1, 0), (1, 1)):
        there = held & (truth[:, k] == side)
        assert (~sets[there, k, side]).mean() <= 0.2
    assert "Conformal sets (alpha 0.2), of each finding by itself: of the " in capsys.readouterr().err
    assert "of each finding by itself" in (folder / "model" / "card.md").read_text()
    again = Model.load(folder / "model", "cpu").predict([data / name for name in judged["image"]])
    assert again["reason"].tolist() == judged["reason"].tolist()


def test_before_training_it_is_said_which_sets_rule_nothing_out(data: Path) -> None:
    said = str(check(data / "tiny.yaml", overrides=["decision.conformal.alpha=0.02"]))
    assert "decision.conformal: no set will rule out square: for alpha 0.02 it takes 49 held-out groups with square, and there are " in said
    assert "being absent" not in said


def test_sets_without_images_of_their_own_are_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(MedtlError, match="needs images that taught and chose nothing"):
        train(data / "tiny.yaml", overrides=["split.held_out=null"], out=tmp_path / "run")
