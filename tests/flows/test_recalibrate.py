"""`medtl recalibrate` on made pictures of which the truth follows the model's own log-odds, moved: what is released, and what is not."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy.special import expit, logit, softmax

from medtl import predictions
from medtl.app.page.markup import model as about
from medtl.backbones.network import build_network
from medtl.card import text
from medtl.contracts import Task
from medtl.decisions.calibration import Calibration
from medtl.decisions.per_class import PerClass
from medtl.errors import GateRefusal, MedtlError
from medtl.evaluation import metrics_file
from medtl.experiment.schema import Experiment
from medtl.flows.evaluate import evaluate
from medtl.flows.looks import read_looks
from medtl.flows.recalibrate import recalibrate
from medtl.model.ancestry import read_ancestry
from medtl.model.model import Model
from medtl.model.package import save
from medtl.model.seen import read_seen
from medtl.module.classifier import Classifier
from medtl.records import read as read_records

COUNT = 240
TASKS: dict[str, dict[str, Any]] = {
    "two": {"classes": {"well": ["W"], "ill": ["I"]}, "positive": "ill"},
    "three": {"classes": {"a": ["A"], "b": ["B"], "c": ["C"]}},
    "findings": {"kind": "multi", "classes": {"mass": ["mass"], "edema": ["edema"]}},
}


@pytest.fixture(autouse=True)
def own_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDTL_STATE", str(tmp_path / "state"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of ramps of all directions and steepness, so that a random network tells them apart."""
    folder, random = tmp_path_factory.mktemp("place"), np.random.default_rng(0)
    across, down = np.meshgrid(np.linspace(-1, 1, 32), np.linspace(-1, 1, 32))
    for number in range(COUNT):
        values = 128 + 120 * random.uniform(-1, 1) + 90 * (random.normal() * across + random.normal() * down)
        noisy = np.clip(values + random.normal(0, 6, (32, 32)), 0, 255)
        Image.fromarray(noisy.astype(np.uint8)).save(folder / f"{number:03d}.png")
    return folder


@pytest.fixture(scope="module")
def models(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Kind of task → a package of a random network, whose log-odds spread as those of one that is fairly sure."""
    made: dict[str, Path] = {}

    def make(kind: str) -> Path:
        if kind not in made:
            made[kind] = package_of(kind, place, tmp_path_factory.mktemp(kind))
        return made[kind]

    return make


def package_of(kind: str, place: Path, folder: Path) -> Path:
    experiment = Experiment.model_validate(
        {
            "name": "made",
            "task": TASKS[kind],
            "cohorts": [{"name": "csv", "table": "t.csv"} if kind == "findings" else {"name": "folders"}],
            "image": {"size": 32, "channels": 1},
            "backbone": {"name": "test_resnet", "weights": "none"},
            "transfer": {"strategy": "scratch"},
        }
    )
    torch.manual_seed(1)
    network = build_network(experiment.backbone, experiment.image, Path(), 0)
    member = Classifier(network, len(experiment.task.classes))
    torch.nn.init.normal_(member.head.weight)
    given = {"members": [member.eval()], "experiment": experiment, "prior_shift": np.zeros(len(experiment.task.classes))}
    many = kind == "findings"
    threshold = {"two": 0.4, "three": None, "findings": (0.3, 0.6)}[kind]
    plain = PerClass((1.0, 1.0), (0.0, 0.0)) if many else Calibration.identity(len(experiment.task.classes))
    save(folder / "plain", calibration=plain, threshold=threshold, **given)
    found = Model.load(folder / "plain", "cpu").predict(sorted(place.glob("*.png")))
    z = found[[f"logit_{name}" for name in experiment.task.names]].to_numpy()
    if many:
        fitted: Any = PerClass(tuple(z.std(axis=0) / 2), tuple(-z.mean(axis=0) / z.std(axis=0) * 2))
    else:
        spread = (z - z.mean(axis=1, keepdims=True)).std() / 1.5
        centre = -z.mean(axis=0) / spread
        fitted = Calibration(float(spread), tuple((centre - centre.mean()).tolist()))
    save(folder / "model", calibration=fitted, threshold=threshold, training_images=[], **given)
    return folder / "model"


@functools.cache
def answers_of(model: Path, place: Path) -> tuple[Task, pd.DataFrame]:
    """What the model answers to every picture, in the order of their names."""
    loaded = Model.load(model, "cpu")
    return loaded.task, loaded.predict(sorted(place.glob("*.png")))


def labels(model: Path, place: Path, name: str, by: Any, seed: int = 0, rows: slice = slice(None), **columns: Any) -> Path:
    """A table in which the truth is drawn with the model's own log-odds and `by` added (several classes: log-probabilities)."""
    random, files, (task, answers) = np.random.default_rng(seed), sorted(place.glob("*.png"))[rows], answers_of(model, place)
    p = answers[[f"p_{each}" for each in task.names]].to_numpy()[rows]
    table = pd.DataFrame({"image": [file.name for file in files], "patient_id": [f"{file.stem}" for file in files]})
    if task.kind == "multi":
        told = random.random(p.shape) < expit(logit(p) + np.array(by))
        for each, column in zip(task.names, told.T, strict=True):
            table[each] = column.astype(int)
    else:
        offsets = np.array([0.0, by]) if np.isscalar(by) else np.array(by)
        moved = softmax(np.log(p) + offsets, axis=1)
        drawn = (moved.cumsum(axis=1) < random.random((len(p), 1))).sum(axis=1)
        table["label"] = np.array(task.names)[drawn]
    table.assign(**columns).to_csv(place / name, index=False)
    return place / name


def refused(folder: Path) -> dict[str, Any]:
    """What a refusal leaves: the evidence, and no model."""
    assert not (folder / "model").exists()
    content: dict[str, Any] = json.loads((folder / "recalibration.json").read_text())
    assert content["released"] is False
    return content


@pytest.fixture(scope="module")
def released(models: Callable[[str], Path], place: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, bytes]]:
    """(folder of the re-calibration, table, the older package's files before) of a model that believes too much illness."""
    model, out = models("two"), tmp_path_factory.mktemp("out") / "there"
    before = {file.name: file.read_bytes() for file in model.iterdir()}
    table = labels(model, place, "rare.csv", -1.5, seed=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDTL_STATE", str(out.parent / "state"))
        recalibrate(model, table, out)
        looks = read_looks(read_records(out / "records.csv")["sha256"], Model.load(model, "cpu").fingerprint)
    assert looks is not None
    assert looks.by_this_model == 1
    return out, table, before


def test_a_made_shift_is_mended_and_every_answer_stays(released, models, place) -> None:
    out, _, before = released
    old, new = Model.load(models("two"), "cpu"), Model.load(out / "model", "cpu")
    content = json.loads((out / "recalibration.json").read_text())
    line = content["questions"]["ill"]["fitted"]
    interval = content["questions"]["ill"]["before"]["calibration_intercept"]
    assert content["released"]
    assert interval["low"] <= -1.5 <= interval["high"]
    assert line == {"intercept": pytest.approx(interval["value"], abs=1e-6), "slope": 1.0}
    assert content["answers_changed"] == 0
    files = sorted(place.glob("*.png"))
    one, other = old.predict(files), new.predict(files)
    assert one["predicted"].tolist() == other["predicted"].tolist()
    np.testing.assert_allclose(other["p_ill"], expit(logit(one["p_ill"]) + line["intercept"]), atol=1e-12)
    assert new.threshold == pytest.approx(expit(logit(0.4) + line["intercept"]))
    assert {file.name: file.read_bytes() for file in models("two").iterdir()} == before
    assert new.fingerprint == content["fingerprint"] != old.fingerprint
    assert new.package.lineage["parent"] == {"name": "made", "fingerprint": old.fingerprint}


def test_the_new_package_says_where_it_holds_and_knows_who_calibrated_it(released, place, tmp_path) -> None:
    out, table, _ = released
    package = Model.load(out / "model", "cpu").package
    truth = read_records(out / "records.csv")["label"]
    assert package.operating_point.prevalence == pytest.approx((truth == "ill").mean())
    assert (package.operating_point.rule, package.operating_point.calibrated_on.n) == ("youden", COUNT)
    card = (out / "model" / "card.md").read_text()
    for said in ("Re-calibrated for one place, by 240 images of 240 patients", "a re-calibration of: made", "240 re-calibration images"):
        assert said in card
    metrics = metrics_file.read(out / "model" / "metrics.json")
    assert list(metrics["splits"]) == ["external"]
    page = about(package, metrics)
    assert "<dt>Re-calibrated</dt><dd>Re-calibrated for one place, by 240 images" in page
    assert "that neither it nor another image of its patient helped to fit" in page
    assert "that neither it nor another image of its patient helped to fit" in card
    after = predictions.read(out / "after.csv")
    content = json.loads((out / "recalibration.json").read_text())["questions"]["ill"]
    assert metrics["splits"]["external"]["brier"]["value"] == pytest.approx(content["after"]["brier"]["value"])
    assert metrics["splits"]["external"]["brier"]["value"] == pytest.approx(np.mean((after["p_ill"] - (after["truth"] == "ill")) ** 2))
    assert len(read_seen(out / "model") or ()) == COUNT
    assert len(read_ancestry(out / "model").taught) == COUNT  # a patient's id is that of the group, too
    with pytest.raises(GateRefusal, match="among those the model learned from or was chosen by"):
        evaluate(out / "model", table, out=tmp_path / "again")
    with pytest.raises(GateRefusal, match="240 images of 240 patients taught the model, or it was chosen or calibrated by them"):
        recalibrate(out / "model", table, tmp_path / "twice")
    assert not (tmp_path / "twice" / "recalibration.json").exists()


def test_right_probabilities_are_refused_with_the_evidence(models, place, tmp_path) -> None:
    model = models("two")
    for seed in range(2):
        with pytest.raises(GateRefusal, match="not shown to get better"):
            recalibrate(model, labels(model, place, f"right-{seed}.csv", 0.0, seed), tmp_path / str(seed))
        found = refused(tmp_path / str(seed))
        assert found["questions"]["ill"]["after"]["brier_difference"]["high"] > 0
        assert (tmp_path / str(seed) / "before.csv").is_file()


def test_labels_without_an_order_are_refused(models, place, tmp_path) -> None:
    table = labels(models("two"), place, "shuffled.csv", -2.5)
    given = pd.read_csv(table)
    given.assign(label=np.random.default_rng(0).permutation(given["label"])).to_csv(table, index=False)
    with pytest.raises(GateRefusal, match="no better order of the images than chance is shown"):
        recalibrate(models("two"), table, tmp_path / "out")
    found = refused(tmp_path / "out")["questions"]["ill"]
    assert found["after"]["brier_difference"]["high"] < 0, "the Brier score alone would have released it"


def test_too_few_are_refused_with_how_many_more_and_cost_no_look(models, place, tmp_path) -> None:
    table = labels(models("two"), place, "few.csv", -1.5, rows=slice(0, 12))
    given = pd.read_csv(table).assign(label=["ill"] * 4 + ["well"] * 8)
    given.to_csv(table, index=False)
    sentence = r"10 of each are needed \(4 patients of ill, 6 more are needed; 8 patients of well, 2 more are needed\)"
    with pytest.raises(GateRefusal, match=sentence):
        recalibrate(models("two"), table, tmp_path / "out")
    assert "looks" not in refused(tmp_path / "out")
    assert not (tmp_path / "state" / "looks").exists()


def test_only_images_drawn_at_random_and_labelled_blind_count(models, place, tmp_path, capsys) -> None:
    why = np.where(np.arange(COUNT) % 3 == 0, "at random", "for variety")
    seen, basis = np.where(np.arange(COUNT) % 12 == 0, "true", ""), np.where(np.arange(COUNT) % 24 == 0, "histology", "")
    table = labels(models("two"), place, "chosen.csv", -2.5, chosen=why, seen_model=seen, basis=basis)
    recalibrate(models("two"), table, tmp_path / "out")
    content = json.loads((tmp_path / "out" / "recalibration.json").read_text())
    assert content["left_out"] == {"not_at_random": 160, "seen_model": 10}
    assert content["images"] == 70
    assert "160 images left out: not chosen at random (column chosen)" in capsys.readouterr().err
    given = pd.read_csv(table)
    given.assign(chosen="by mood").to_csv(table, index=False)
    with pytest.raises(MedtlError, match="chosen holds by mood; allowed, as medtl next writes: at random, for variety"):
        recalibrate(models("two"), table, tmp_path / "strange")


def test_a_threshold_is_chosen_anew_where_asked(models, place, tmp_path, capsys) -> None:
    table = labels(models("two"), place, "anew.csv", -1.0, seed=3)
    recalibrate(models("two"), table, tmp_path / "out", threshold="refit")
    content = json.loads((tmp_path / "out" / "recalibration.json").read_text())
    new = Model.load(tmp_path / "out" / "model", "cpu")
    chosen = content["thresholds"]["ill"]
    assert new.threshold == chosen["chosen"]
    point = new.package.operating_point
    assert (point.split, point.n, point.calibrated_on) == ("re-calibration", COUNT, None)
    entry = metrics_file.read(tmp_path / "out" / "model" / "metrics.json")["splits"]["external"]
    assert entry["per_class"]["ill"]["recall"]["value"] == pytest.approx(chosen["after"]["sensitivity"]["value"])
    assert "Threshold chosen anew" in capsys.readouterr().out
    few = labels(models("two"), place, "anew-few.csv", -3.0, rows=slice(0, 150))
    recalibrate(models("two"), few, tmp_path / "few", threshold="refit")
    found = json.loads((tmp_path / "few" / "recalibration.json").read_text())
    assert found["thresholds"]["ill"]["reason"].startswith("too few to re-fit (")
    assert found["answers_changed"] == 0


def test_of_several_classes_probabilities_move_and_the_answers_stay(models, place, tmp_path) -> None:
    model, by = models("three"), (1.5, -1.0, -0.5)
    recalibrate(model, labels(model, place, "three.csv", by), tmp_path / "out")
    old, new = Model.load(model, "cpu"), Model.load(tmp_path / "out" / "model", "cpu")
    line = json.loads((tmp_path / "out" / "recalibration.json").read_text())["questions"]["all classes"]["fitted"]
    assert line["intercept"] == pytest.approx(by, abs=0.8)
    files = sorted(place.glob("*.png"))
    one, other = old.predict(files), new.predict(files)
    assert one["predicted"].tolist() == other["predicted"].tolist()
    names = [f"p_{name}" for name in old.task.names]
    expected = softmax(line["slope"] * np.log(one[names].to_numpy()) + np.array(line["intercept"]), axis=1)
    np.testing.assert_allclose(other[names].to_numpy(), expected, atol=1e-12)
    assert (other[names].to_numpy().argmax(axis=1) != one[names].to_numpy().argmax(axis=1)).any()
    assert "weighed so that it is the class of before the re-calibration" in (tmp_path / "out" / "model" / "card.md").read_text()
    with pytest.raises(MedtlError, match="--threshold refit is for two classes or findings"):
        recalibrate(model, place / "three.csv", tmp_path / "refit", threshold="refit")


def test_of_several_findings_only_those_that_are_off_move(models, place, tmp_path, capsys) -> None:
    model = models("findings")
    recalibrate(model, labels(model, place, "findings.csv", (-1.8, 0.0)), tmp_path / "out")
    old, new = Model.load(model, "cpu"), Model.load(tmp_path / "out" / "model", "cpu")
    content = json.loads((tmp_path / "out" / "recalibration.json").read_text())["questions"]
    assert content["mass"]["shown"]
    assert not content["edema"]["shown"]
    files = sorted(place.glob("*.png"))
    one, other = old.predict(files), new.predict(files)
    assert one["predicted"].tolist() == other["predicted"].tolist()
    np.testing.assert_allclose(other["p_mass"], expit(logit(one["p_mass"]) + content["mass"]["fitted"]["intercept"]), atol=1e-12)
    np.testing.assert_array_equal(other["p_edema"], one["p_edema"])
    assert new.threshold[1] == old.threshold[1] == 0.6
    assert new.threshold[0] < 0.3
    assert new.package.operating_point.prevalence is None, "nobody knows at which prevalence the edema's hold"
    assert "Probabilities of edema stay as they were" in capsys.readouterr().out


def test_what_was_fitted_for_other_probabilities_is_left_behind_and_said(models, place, tmp_path, capsys) -> None:
    from medtl.model import format as package_format

    fields = json.loads((models("two") / "model.json").read_text())
    promise = {"measure": "recall", "at_least": 0.9, "confidence": 0.95, "needed": 29, "groups": [40], "wrong": [0]}
    point = {**fields["operating_point"], "guarantee": promise, "rule": "recall >= 0.9, guaranteed with a confidence of 0.95"}
    model = tmp_path / "promising"
    model.mkdir()
    for file in models("two").iterdir():
        (model / file.name).write_bytes(file.read_bytes())
    fields |= {"operating_point": point, "conformal": {"alpha": 0.1, "unit": "patient", "least": [0.3, 0.3], "groups": [40, 40]}}
    package_format.write(package_format.signed({key: value for key, value in fields.items() if key != "fingerprint"}), model)
    recalibrate(model, labels(model, place, "promise.csv", -1.5), tmp_path / "out")
    new = Model.load(tmp_path / "out" / "model", "cpu").package
    assert (new.conformal, new.operating_point.guarantee, new.operating_point.rule) == (None, None, "recall >= 0.9")
    assert "Not carried over: the guarantee, conformal sets" in capsys.readouterr().out
    assert "guaranteed" not in text(new.model_dump(mode="json"), None)


def test_a_mistake_is_told_before_anything_is_written(models, place, tmp_path) -> None:
    with pytest.raises(MedtlError, match="--threshold 'refitt': is unknown; did you mean 'refit'"):
        recalibrate(models("two"), place / "none.csv", tmp_path / "out", threshold="refitt")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("")
    with pytest.raises(MedtlError, match="is not empty"):
        recalibrate(models("two"), place / "none.csv", tmp_path / "full")
    assert not (tmp_path / "out").exists()
