"""Ensembles of folds: calibrated on their own answers to held-out images, or called unverified."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.stats import t
from sklearn.metrics import recall_score

from medtl import measurements, predictions, records
from medtl.app.page import markup
from medtl.errors import GateRefusal, MedtlError
from medtl.evaluation import metrics_file
from medtl.experiment.load import load_experiment
from medtl.flows.evaluate import evaluate
from medtl.flows.predict import predict
from medtl.flows.run import load_run
from medtl.flows.shift import shift
from medtl.flows.train import train
from medtl.model import format as package_format
from medtl.model.model import Model
from medtl.model.seen import read_seen, truncated
from medtl.shift import source as kept

CONFIG = """
name: tiny
task: {classes: {disc: [disc], square: [square]}, positive: square}
cohorts: [{name: csv, table: table.csv, image: file, label: shape, patient: who}]
split: {folds: 2, validation: 0.3, seed: 3}
image: {size: 32, channels: 1}
backbone: {name: mobilenetv3_small_050, weights: weights.safetensors}
transfer: {strategy: linear-probe, probe_penalty: [0.1, 1]}
imbalance: {loss: weighted}
trainer: {device: cpu, threads: 1}
"""


@pytest.fixture(scope="module")
def data(discs_and_squares: Callable[..., Path]) -> Path:
    return discs_and_squares(CONFIG, 40)


@pytest.fixture(scope="module")
def verified(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("runs") / "verified"
    return train(data / "tiny.yaml", overrides=["split.held_out=0.4"], out=place, with_report=False).folder


@pytest.fixture(scope="module")
def unverified(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(data / "tiny.yaml", out=tmp_path_factory.mktemp("runs") / "unverified").folder


def _calibrated(logits: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Probabilities by temperature and intercepts of maximal posterior, found without gradients."""

    def scores(parameters: np.ndarray) -> np.ndarray:
        scaled = logits / np.exp(parameters[0]) + parameters[1:]
        return scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True))

    def loss(parameters: np.ndarray) -> float:
        prior = -t.logpdf(parameters[0] / 0.5, 3) - t.logpdf(parameters[1:] / 0.25, 3).sum()
        return float(prior - scores(parameters)[np.arange(len(truth)), truth].sum())

    centred = logits - logits.mean(axis=1, keepdims=True)
    logits = centred
    found = minimize(loss, np.zeros(1 + logits.shape[1]), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 20000})
    return np.exp(scores(found.x))


def test_the_ensemble_is_calibrated_on_its_own_answers_to_held_out_images(data: Path, verified: Path) -> None:
    rows, table = records.read(verified / "records.csv"), predictions.read(verified / "predictions.csv")
    held = rows[rows["split"] == "calibration"]
    assert (held["fold"] == "").all()
    for fold in load_run(verified).folds():
        own = fold.records()
        assert set(own.loc[own["split"] == "calibration", "image"]) == set(held["image"])
        assert not set(fold.predictions()["image"]) & set(held["image"]), "no member was asked about them before"
    asked = table[table["split"] == "calibration"].sort_values("image", ignore_index=True)
    assert list(asked["image"]) == sorted(held["image"])

    model = Model.load(verified / "model", "cpu")
    again = model.predict([data / image for image in asked["image"]])
    for columns in (["logit_disc", "logit_square"], ["p_disc", "p_square"]):
        np.testing.assert_allclose(again[columns], asked[columns], atol=1e-5)
    members = [Model.load(verified / "folds" / fold / "model", "cpu") for fold in "01"]
    truth = (asked["truth"] == "square").to_numpy().astype(int)
    logits = np.stack([each.predict([data / image for image in asked["image"]])[["logit_disc", "logit_square"]] for each in members])
    shifted = logits - np.array([each.package.prior_shift for each in members])
    together = np.log((np.exp(shifted) / np.exp(shifted).sum(axis=2, keepdims=True)).mean(axis=0))
    p = _calibrated(together, truth)
    np.testing.assert_allclose(asked[["p_disc", "p_square"]], p, atol=1e-4)

    def youden(cut: float) -> float:
        return recall_score(truth, p[:, 1] >= cut) + recall_score(1 - truth, p[:, 1] < cut)

    assert model.threshold is not None
    best = max(youden(cut) for cut in [0, *(np.sort(p[:, 1])[1:] + np.sort(p[:, 1])[:-1]) / 2, 1])
    assert youden(float(model.threshold)) == pytest.approx(best)


def test_a_verified_package_says_by_what_and_knows_these_images(verified: Path) -> None:
    package = package_format.read(verified / "model")
    rows = records.read(verified / "records.csv")
    held = rows[rows["split"] == "calibration"]
    assert (package.ensemble.verified, package.ensemble.groups) == (True, held["group_id"].nunique())
    assert (package.operating_point.split, package.operating_point.n) == ("calibration", len(held))
    assert package.training["images"]["calibration"] == held["label"].value_counts().sort_index().to_dict()
    assert package.unverified == ""
    assert f"of {package.ensemble.groups} groups, none of the 2 networks has seen" in (verified / "model" / "card.md").read_text()
    pixels = measurements.read(verified / "measurements.csv").merge(held[["image", "frame"]])["pixel_hash"].map(truncated)
    assert set(pixels) <= read_seen(verified / "model")
    assert not set(pixels) & read_seen(verified / "folds" / "0" / "model")
    assert package_format.read(verified / "folds" / "0" / "model").ensemble is None, "it does not apply to a single model"


def test_an_unverified_ensemble_is_called_so_everywhere(
    data: Path, unverified: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sentence = "threshold and calibration were never checked on images that none of its networks has seen"
    package = package_format.read(unverified / "model")
    assert not package.ensemble.verified
    assert sentence in (unverified / "model" / "card.md").read_text()
    evaluate(unverified)
    assert capsys.readouterr().out.count(sentence) == 1
    predict(unverified, data / "disc", tmp_path / "answers.csv")
    assert capsys.readouterr().out.count(sentence) == 1
    predict(unverified / "folds" / "0", data / "disc", tmp_path / "answers.csv")
    assert sentence not in capsys.readouterr().out
    assert sentence in markup.model(package, metrics_file.read(unverified / "metrics.json")).replace("&#x27;", "'")


def test_packages_older_than_the_field_load(verified: Path, unverified: Path) -> None:
    for run, words in ((verified, "unverified"), (verified / "folds" / "0", "")):
        file = run / "model" / "model.json"
        before = file.read_text()
        content = json.loads(before)
        del content["ensemble"]
        try:
            file.write_text(json.dumps(content))
            assert words in Model.load(run / "model", "cpu").package.unverified
        finally:
            file.write_text(before)
    assert not Model.load(verified / "folds" / "0" / "model", "cpu").package.unverified


def test_a_patient_in_a_fold_and_held_out_is_refused(data: Path, tmp_path: Path) -> None:
    table = pd.read_csv(data / "table.csv")
    table.assign(who=[f"p{row // 4}" for row in range(80)]).to_csv(data / "fours.csv", index=False)
    overrides = ["cohorts.0.table=fours.csv", "split.by=image", "split.held_out=0.4"]
    with pytest.raises(GateRefusal, match=r"calibration and fold \d"):
        train(data / "tiny.yaml", overrides=overrides, out=tmp_path / "leaking")


SEEDS = ["split.folds=null", "split.test=0.2", "transfer.strategy=full", "transfer.epochs=2", "transfer.batch=16", "transfer.members=2"]


@pytest.fixture(scope="module")
def seeds(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(data / "tiny.yaml", overrides=SEEDS, out=tmp_path_factory.mktemp("runs") / "seeds").folder


def test_members_of_a_split_are_trainings_with_the_next_seeds(data: Path, seeds: Path, tmp_path: Path) -> None:
    alone = train(data / "tiny.yaml", overrides=[*SEEDS[:-1], "seed=1"], out=tmp_path / "alone", with_report=False)
    package = package_format.read(seeds / "model")
    assert package.weights[1].sha256 == package_format.read(alone.folder / "model").weights[0].sha256
    assert package.weights[0].sha256 != package.weights[1].sha256


def test_members_of_a_split_answer_and_are_calibrated_together(data: Path, seeds: Path) -> None:
    asked = predictions.read(seeds / "predictions.csv").sort_values("image", ignore_index=True)
    assert set(asked["split"]) == {"validation"}
    model = Model.load(seeds / "model", "cpu")
    again = model.predict([data / image for image in asked["image"]])
    np.testing.assert_allclose(again[["p_disc", "p_square"]], asked[["p_disc", "p_square"]], atol=1e-5)
    parts = [predictions.read(seeds / "members" / member / "predictions.csv").sort_values("image") for member in "01"]
    logits = np.stack([part[["logit_disc", "logit_square"]] for part in parts]) - np.array(model.package.prior_shift)[:, None]
    together = np.log((np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)).mean(axis=0))
    p = _calibrated(together, (asked["truth"] == "square").to_numpy().astype(int))
    np.testing.assert_allclose(asked[["p_disc", "p_square"]], p, atol=1e-4)
    metrics = metrics_file.read(seeds / "metrics.json")["splits"]["validation"]
    assert metrics["n"] == len(asked), "each image once, not once per member"


def test_members_of_a_split_are_told_as_such(seeds: Path) -> None:
    package = package_format.read(seeds / "model")
    groups = records.read(seeds / "records.csv").query("split == 'validation'")["group_id"].nunique()
    assert package.ensemble == package_format.Ensemble(of="seeds", verified=True, groups=groups)
    assert f"of {groups} groups, none of the 2 networks has learned from" in (seeds / "model" / "card.md").read_text()
    page = (seeds / "report.html").read_text()
    assert "2 networks, trained with different seeds" in page
    assert "Cross-validation" not in page
    assert "did not learn from it" not in markup.model(package, None)
    evaluated = evaluate(seeds)
    assert evaluated.metrics["n"] == len(records.read(seeds / "records.csv").query("split == 'test'"))


def test_members_and_folds_together_are_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(MedtlError, match=r"transfer.members.*two ways to an ensemble"):
        train(data / "tiny.yaml", overrides=["transfer.strategy=full", "transfer.members=2"], out=tmp_path / "run")
    probed = load_experiment(data / "tiny.yaml", ["transfer.members=2"])
    assert probed.transfer.trainings == 1, "a linear probe passes over it, also over folds"


def test_another_place_is_held_against_what_all_folds_left_out(verified: Path, tmp_path: Path) -> None:
    run = load_run(shutil.copytree(verified, tmp_path / "run"))
    shift(run.folder)
    remembered = kept.read(run.folder / "model", run.model().fingerprint)
    rows = run.records()
    held = rows[rows["split"] == "calibration"]
    assert remembered is not None
    assert len(remembered.sample) == len(held)
    assert sorted(remembered.sample.truth) == sorted((held["label"] == "square").astype(int))
    said = predictions.read(run.folder / "predictions.csv")
    own = said[(said["split"] == "calibration") & (said["member"] == "") & (said["view"] == "plain")]
    assert np.sort(remembered.sample.probabilities[:, 1]) == pytest.approx(np.sort(own["p_square"]), abs=1e-4)
