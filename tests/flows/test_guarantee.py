"""`decision.guarantee` as a user meets it: chosen on held-out images, said everywhere, void elsewhere, refused where it has no meaning."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from medtl import predictions, records
from medtl.app import words
from medtl.cohorts.chance import draw
from medtl.errors import MedtlError, Mistakes
from medtl.evaluation import metrics_file
from medtl.flows.check import check
from medtl.flows.evaluate import evaluate
from medtl.flows.predict import predict
from medtl.flows.report import report
from medtl.flows.train import train
from medtl.model import format as package_format

CONFIG = """
name: tiny
task: {classes: {disc: [disc], square: [square]}, positive: square}
cohorts: [{name: csv, table: table.csv, image: file, label: shape, patient: who}]
split: {validation: 0.2, test: 0.15, held_out: 0.4, seed: 3}
image: {size: 32, channels: 1}
backbone: {name: mobilenetv3_small_050, weights: weights.safetensors}
transfer: {strategy: linear-probe, probe_penalty: [0.1, 1]}
decision: {guarantee: {recall: 0.8, confidence: 0.8}}
trainer: {device: cpu, threads: 1}
"""


@pytest.fixture(scope="module")
def data(discs_and_squares: Callable[..., Path]) -> Path:
    """120 pictures, two of a patient and both of one shape."""
    folder: Path = discs_and_squares(CONFIG, 60, 2)
    table = pd.read_csv(folder / "table.csv")
    table["square"], table["disc"] = (table["shape"] == "square") * 1, (table["shape"] == "disc") * 1
    table.to_csv(folder / "table.csv", index=False)
    table.rename(columns={"file": "image", "shape": "label"})[["image", "label"]].to_csv(folder / "elsewhere.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def kept(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(data / "tiny.yaml", out=tmp_path_factory.mktemp("runs") / "kept").folder


def _held(run: Path) -> pd.DataFrame:
    """Held-out answers with the group's draw, the earliest image of each positive group marked `counts`."""
    rows, judged = records.read(run / "records.csv"), predictions.read(run / "predictions.csv")
    held = judged[judged["split"] == "calibration"].merge(rows[["image", "frame", "sha256"]], on=["image", "frame"])
    held["draw"] = [draw(3, f"{row.sha256}:{row.frame}") for row in held.itertuples()]
    first = held[held["truth"] == "square"].sort_values("draw").drop_duplicates("group_id")["image"]
    return held.assign(counts=held["image"].isin(first))


def test_the_threshold_is_where_the_held_out_patients_say(kept: Path) -> None:
    point = package_format.read(kept / "model").operating_point
    held, promise = _held(kept), point.guarantee
    assert promise is not None
    ill = np.sort(held.loc[held["counts"], "p_square"])
    assert (promise.groups, promise.needed) == ((15,), 8), "0.8 ** 7 = 0.210, 0.8 ** 8 = 0.168"
    assert (promise.unit, promise.wrong) == ("patient", (1,)), "at most one wrong of 15 at a rate of 0.2: 0.167; at most two: 0.398"
    below = held["p_square"][held["p_square"] < ill[1]].max()
    assert point.threshold == pytest.approx((ill[1] + below) / 2)
    assert point.rule == "recall >= 0.8, guaranteed with a confidence of 0.8"
    judged = predictions.read(kept / "predictions.csv")
    assert (point.split, point.n) == ("calibration", len(held))
    assert point.calibrated_on is not None
    assert (point.calibrated_on.split, point.calibrated_on.n) == ("validation", (judged["split"] == "validation").sum())
    well = held[held["truth"] == "disc"].sort_values("draw").drop_duplicates("group_id")
    assert (promise.other_groups, promise.other_right) == ((len(well),), ((well["p_square"] < point.threshold).sum(),))
    assert ((judged["predicted"] == "square") == (judged["p_square"] >= point.threshold)).all(), "validation is answered by it, too"
    assert metrics_file.read(kept / "metrics.json")["splits"]["validation"]["threshold"] == point.threshold


def test_it_is_said_everywhere_and_void_elsewhere(data: Path, kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    package = package_format.read(kept / "model")
    sentence = package.promised[0]
    assert sentence.startswith(
        "Guaranteed with 80 % confidence: at least 80 % of the images of square are found (recall, every patient counting alike). Tested "
        "on held-out patients that chose nothing else, one image of each patient, missed: 1 of 15. "
    )
    assert "It holds for patients like these (default); anywhere else it is void." in sentence
    assert sentence.endswith("counts by what the threshold would have called it: of all, at most 20 % are missed, but fewer may be found.")
    assert words.operating_point(package) == " ".join(package.promised)
    price = package.promised[1]
    assert price.startswith("Its price: of the held-out patients of disc, one image each, are rightly not called positive: ")
    card = (kept / "model" / "card.md").read_text()
    assert f"guaranteed with a confidence of 0.8; on {package.operating_point.n} calibration images)" in card
    assert f"fitted on {package.operating_point.calibrated_on.n} validation images" in card
    assert "at least 80 % of the images of square are found" in card
    html = report(kept, data).read_text()
    assert "at least 80 % of the images of square are found" in html
    assert price in html
    predict(kept, data / "disc", tmp_path / "answers.csv")
    printed = capsys.readouterr().out
    assert sentence in printed
    assert price in printed
    done = evaluate(kept, data / "elsewhere.csv", out=tmp_path / "there", allow_seen=True)
    printed = capsys.readouterr().out
    assert "(recall of at least 0.8 with 80 % confidence) is void here" in printed
    assert "Guaranteed" not in printed
    assert done.split == "external"


def test_one_number_moves_probabilities_and_no_decision(data: Path, kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    judged = predictions.read(kept / "predictions.csv").query("split == 'validation'")
    stored = package_format.read(kept / "model").operating_point
    assert stored.prevalence == (judged["truth"] == "square").mean()
    plain = predict(kept, data / "disc", tmp_path / "plain.csv").set_index("image")
    capsys.readouterr()
    predict(kept, data / "disc", tmp_path / "rare.csv", prevalence=0.05)
    rare = predictions.read(tmp_path / "rare.csv").set_index("image").loc[plain.index]

    def odds(p: pd.Series[float]) -> pd.Series[float]:
        return p / (1 - p)

    ratio = 0.05 / 0.95 / (stored.prevalence / (1 - stored.prevalence))
    np.testing.assert_allclose(odds(rare["p_square"]), odds(plain["p_square"]) * ratio)
    np.testing.assert_allclose(rare["p_disc"] + rare["p_square"], 1)
    assert (rare["predicted"] == plain["predicted"]).all()
    printed = capsys.readouterr().out
    assert "Probabilities are for images of which 5.0 % are square; they were calibrated where " in printed
    assert "By sensitivity and specificity on validation: PPV " in printed
    for wanted, sentence in ((1.5, "no share of the images"), ({"ring": 0.1}, "--prevalence ring: there is none")):
        with pytest.raises(MedtlError, match=sentence):
            predict(kept, data / "disc", tmp_path / "plain.csv", prevalence=wanted)


def test_too_few_for_it_is_said_and_the_ordinary_rule_stands(data: Path, kept: Path, tmp_path: Path) -> None:
    asked = ["decision.guarantee={specificity: 0.99}", "decision.threshold=f1"]
    assert "it takes 299 held-out groups without square, and there are 12; hold out more" in str(check(data / "tiny.yaml", overrides=asked))
    lacking = package_format.read(train(data / "tiny.yaml", overrides=asked, out=tmp_path / "lacking", with_report=False).folder / "model")
    plain_run = train(data / "tiny.yaml", overrides=["decision.guarantee=null", "decision.threshold=f1"], out=tmp_path / "plain")
    plain = package_format.read(plain_run.folder / "model")
    assert (lacking.operating_point.rule, lacking.operating_point.threshold) == ("f1", plain.operating_point.threshold)
    assert (plain.promised, plain.not_promised, lacking.not_promised) == ([], "", "")
    assert lacking.promised[0].startswith(
        "The guarantee (specificity of at least 0.99 with 95 % confidence) is not reachable: it takes 299 "
    )
    assert words.operating_point(lacking).startswith("Threshold by the best F1 on ")
    fields = json.loads((plain_run.folder / "model" / "model.json").read_text())
    assert fields["operating_point"].pop("guarantee") is None
    (plain_run.folder / "model" / "model.json").write_text(json.dumps(fields))
    assert package_format.read(plain_run.folder / "model").fingerprint == plain.fingerprint, (
        "packages older than the field load as they were"
    )


def test_an_ensemble_keeps_half_of_what_is_held_out_for_it(data: Path, tmp_path: Path) -> None:
    given = ["split.folds=2", "split.validation=0.4", "split.held_out=0.5", "decision.guarantee={recall: 0.7, confidence: 0.8}"]
    run = train(data / "tiny.yaml", overrides=given, out=tmp_path / "folds", with_report=False).folder
    package, rows = package_format.read(run / "model"), records.read(run / "records.csv")
    held = rows[rows["split"] == "calibration"]
    promise = package.operating_point.guarantee
    assert promise is not None
    assert promise.wrong != (None,)
    unit = held.groupby("group_id")["sha256"].transform("min")
    half = held[[draw(3, f"guarantee:{each}") < 0.5 for each in unit]]
    assert promise.groups[0] == half[half["label"] == "square"]["group_id"].nunique()
    assert package.operating_point.n == len(half)
    assert package.operating_point.calibrated_on is not None
    assert package.operating_point.calibrated_on.n == len(held) - len(half), "the others calibrate"
    assert package.ensemble is not None
    assert package.ensemble.groups == held["group_id"].nunique() - half["group_id"].nunique()
    assert package_format.read(run / "folds" / "0" / "model").operating_point.guarantee is None


def test_each_finding_has_its_own(data: Path, tmp_path: Path) -> None:
    given = ["task={kind: multi, classes: {disc: [], square: []}}", "cohorts.0.label=label"]
    run = train(data / "tiny.yaml", overrides=given, out=tmp_path / "findings", with_report=False).folder
    package = package_format.read(run / "model")
    promise = package.operating_point.guarantee
    assert promise is not None
    held = predictions.read(run / "predictions.csv").query("split == 'calibration'")
    assert promise.groups == tuple(held[held["truth"] == name]["group_id"].nunique() for name in ("disc", "square"))
    assert "missed: disc " in package.promised[0]
    assert "Each finding keeps it by itself; that all do at once is less sure." in package.promised[0]
    assert package.operating_point.prevalence is not None
    plain = predict(run, data / "disc", tmp_path / "plain.csv").set_index("image")
    rare = predict(run, data / "disc", tmp_path / "rare.csv", prevalence={"disc": 0.01}).set_index("image").loc[plain.index]
    assert (rare["p_disc"] < plain["p_disc"]).all()
    assert (rare["p_square"] == plain["p_square"]).all()
    assert "PPV / NPV of each finding at other prevalences" in report(run, data).read_text()


def test_where_it_has_no_meaning_it_is_refused(data: Path, tmp_path: Path) -> None:
    for overrides, sentence in (
        (["split.held_out=null"], "needs images that chose nothing"),
        (["task={classes: {disc: [], square: [], ring: []}}"], "is for two classes or for findings"),
        (["decision.guarantee={confidence: 0.9}"], "takes either recall or specificity"),
        (["decision.guarantee={recall: 0.9, specificity: 0.9}"], "takes either recall or specificity"),
        (["decision.guarantee={recall: 1.0}"], "too large; allowed: > 0 and < 1"),
    ):
        with pytest.raises(Mistakes, match=sentence):
            train(data / "tiny.yaml", overrides=overrides, out=tmp_path / "refused")
