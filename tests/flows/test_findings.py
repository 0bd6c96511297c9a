"""Several findings per image, from a table with unknown labels to the page: one road, on pictures of a disc, a square, both, or neither."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from medtl import predictions, records
from medtl.app.desk import Desk
from medtl.app.page import markup
from medtl.evaluation import metrics_file
from medtl.explanation.saliency import evidence
from medtl.flows.evaluate import evaluate
from medtl.flows.predict import predict
from medtl.flows.run import load_run
from medtl.flows.train import train
from medtl.imaging.cache import cache_dir
from medtl.imaging.store import open_store
from medtl.model.model import Model

CLASSES = ("disc", "square")
CONFIG = """
name: shapes
task: {kind: multi, classes: {disc: [Disc], square: [Square]}}
cohorts: [{name: csv, table: table.csv, image: file, uncertain: [-1], patient: who}]
split: {validation: 0.25, test: 0.25, seed: 3}
image: {size: 32, channels: 1}
backbone: {name: mobilenetv3_small_050, weights: weights.safetensors}
transfer: {strategy: lp-ft, epochs: 2, batch: 8, rate: 0.0002, probe_penalty: [0.1, 1], batch_norm: frozen}
imbalance: {loss: weighted}
trainer: {device: cpu, threads: 1}
"""


@pytest.fixture(scope="module")
def data(discs_or_squares: Callable[..., Path]) -> Path:
    return discs_or_squares(CONFIG)


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(data / "shapes.yaml", out=tmp_path_factory.mktemp("runs") / "whole").folder


def test_records_hold_a_column_per_finding(data: Path, run: Path) -> None:
    written = pd.read_csv(run / "records.csv", dtype=str, keep_default_na=False)
    assert "label" not in written.columns
    given = pd.read_csv(data / "table.csv", dtype=str, keep_default_na=False).set_index("file")
    for name, column in zip(CLASSES, ("Disc", "Square"), strict=True):
        expected = given.loc[written["image"], column].replace("-1", "").tolist()
        assert written[f"y_{name}"].tolist() == expected
    assert records.read(run / "records.csv")["label"].isin(["disc", "square", "disc|square", "none", ""]).all()


def test_the_package_decides_each_finding_by_its_own_threshold(run: Path) -> None:
    package = json.loads((run / "model" / "model.json").read_text())
    thresholds = package["operating_point"]["threshold"]
    assert len(thresholds) == len(package["calibration"]["temperature"]) == 2
    table = predictions.read(run / "predictions.csv")
    called = np.stack([table[f"p_{name}"] >= cut for name, cut in zip(CLASSES, thresholds, strict=True)], axis=1)
    names = ["|".join(name for name, yes in zip(CLASSES, row, strict=True) if yes) or "none" for row in called]
    assert table["predicted"].tolist() == names == table["decision"].tolist()


def test_predict_and_evaluate(data: Path, run: Path, tmp_path: Path) -> None:
    answers = predict(run, sorted(data.glob("*.png")), tmp_path / "answers.csv")
    assert len(answers) == 120
    assert (answers["truth"] == "").all()
    assert ((answers["reason"] != "") == (answers["decision"] == "no answer")).all()
    assert (answers["reason"] == "").mean() > 0.9, "images like the training images are answered"
    done = evaluate(run)
    known = records.read(run / "records.csv").query("split == 'test' and label != ''")
    assert done.metrics["n"] == len(known)
    assert done.metrics["per_class"]["disc"]["known"] == (known["y_disc"] != "").sum()
    assert done.metrics["auroc"]["value"] > 0.6
    assert set(metrics_file.read(run / "metrics.json")["splits"]) == {"validation", "test"}
    model = Model.load(run / "model")
    again = model.predict(data / "000.png")
    assert again.loc[0, "decision"] == answers.loc[0, "decision"]


def test_audit_report_and_page(data: Path, run: Path) -> None:
    opened = load_run(run)
    found = json.loads((run / "audit.json").read_text())["findings"]
    assert {finding["title"].partition(": ")[0] for finding in found if finding["code"] == "PREVALENCE"} == set(CLASSES)
    text = (run / "report.html").read_text()
    for part in ("Looks for 2 findings on one image, each by itself: disc, square.", "Per finding", "finding: square", "False alarms"):
        assert part in text
    tables = pd.read_csv(run / "report" / "validation_confusion.csv").set_index("finding")
    shown = opened.metrics()["splits"]["validation"]["confusion"]["disc"]
    assert tables.loc["disc", ["found", "missed", "false alarms"]].tolist() == [shown[1][1], shown[1][0], shown[0][1]]
    desk = Desk([run])
    answer = desk.answer(desk.labels[0], data / "000.png")
    assert set(answer.maps) == set(CLASSES)
    page = markup.answer(answer.package, answer.probabilities, answer.decision, answer.reason, [])
    assert page.count('<i class="threshold') == 2
    assert ("reaches its threshold" if answer.decision == "none" else "Reaching") in page
    about = markup.model(answer.package, opened.metrics())
    assert "Looks for 2 findings, each by itself, on one image." in about
    assert "Mean AUROC" in about
    assert "True" not in about
    assert "A finding is there from a probability of disc" in (run / "model" / "card.md").read_text()


def test_what_speaks_for_a_finding_is_its_own_logit(data: Path, run: Path) -> None:
    model = Model.load(run / "model")
    store = open_store(pd.DataFrame({"image": ["000.png"], "frame": [0]}), data, model.image, cache_dir())
    images = store.read(np.array([0]))
    both = np.array([[0, 1]])
    before = evidence(model, images, both)  # signed: as shares, a map that only speaks against its finding is 0 everywhere
    with torch.no_grad():
        model.members[0].head.weight[1] += 1.0
    after = evidence(model, images, both)
    np.testing.assert_array_equal(before[:, 0], after[:, 0])
    assert not np.array_equal(before[:, 1], after[:, 1])


def test_folds_and_an_outside_table(data: Path, tmp_path: Path) -> None:
    overrides = ["split.folds=2", "transfer.strategy=linear-probe", "imbalance.loss=asymmetric"]
    run = train(data / "shapes.yaml", overrides=overrides, out=tmp_path / "run").folder
    package = json.loads((run / "model" / "model.json").read_text())
    assert len(package["weights"]) == 2
    assert len(package["operating_point"]["threshold"]) == 2
    own = evaluate(run).metrics
    assert own["n"] == (records.read(run / "records.csv")["label"] != "").sum()
    table = pd.read_csv(data / "table.csv", dtype=str, keep_default_na=False).replace("-1", "")
    table = table.rename(columns={"file": "image", "Disc": "disc"})[["image", "disc", "Square"]]
    table.to_csv(data / "outside.csv", index=False)
    done = evaluate(run, data / "outside.csv", out=tmp_path / "outside", allow_seen=True)
    assert done.metrics["per_class"]["disc"]["support"] == (table["disc"] == "1").sum()
    assert predictions.read(tmp_path / "outside" / "predictions.csv")["unknown"].isin(["", "disc", "square"]).all()


def test_an_ensemble_of_findings_is_calibrated_on_held_out_images(data: Path, tmp_path: Path) -> None:
    overrides = ["split.folds=2", "split.held_out=0.4", "transfer.strategy=linear-probe"]
    run = train(data / "shapes.yaml", overrides=overrides, out=tmp_path / "run", with_report=False).folder
    model = Model.load(run / "model", "cpu")
    assert model.package.ensemble.verified
    assert model.package.operating_point.split == "calibration"
    table = predictions.read(run / "predictions.csv").query("split == 'calibration'").sort_values("image", ignore_index=True)
    assert len(table) == model.package.operating_point.n
    truth, p = predictions.true_findings(table), predictions.probabilities(table)
    for k, cut in enumerate(model.threshold):
        known = np.isfinite(truth[:, k])
        side, score = truth[known, k] == 1, p[known, k]
        gains = {at: (score[side] >= at).mean() - (score[~side] >= at).mean() for at in [*score, cut]}
        assert gains[cut] == pytest.approx(max(gains.values())), "no other threshold does better on them"
    again = model.predict([data / image for image in table["image"]])
    np.testing.assert_allclose(again[["p_disc", "p_square"]], p, atol=1e-5)
