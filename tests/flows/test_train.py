"""`medtl train` as a whole: what a run folder holds, what it never reads, and that a kill costs nothing."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from medtl import predictions, records
from medtl.errors import GateRefusal, MedtlError
from medtl.evaluation import metrics_file
from medtl.flows.check import check
from medtl.flows.evaluate import evaluate
from medtl.flows.report import report
from medtl.flows.train import train
from medtl.model.model import Model
from medtl.model.seen import read_seen

CONFIG = """
name: tiny
task: {classes: {disc: [disc], square: [square]}, positive: square}
cohorts: [{name: csv, table: table.csv, image: file, label: shape}]
split: {by: image, validation: 0.2, test: 0.2, seed: 3}
image: {size: 32, channels: 1}
backbone: {name: mobilenetv3_small_050, weights: weights.safetensors}
transfer: {strategy: lp-ft, epochs: 3, batch: 8, rate: 0.002, probe_penalty: [0.1, 1]}
trainer: {device: cpu, threads: 1, precision: float32}
"""


@pytest.fixture(scope="module")
def data(discs_and_squares: Callable[..., Path]) -> Path:
    """A config, 60 pictures, their table, and a weights file."""
    return discs_and_squares(CONFIG, 30)


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(data / "tiny.yaml", out=tmp_path_factory.mktemp("runs") / "whole").folder


def _model_bytes(folder: Path) -> bytes:
    return (folder / "model" / "weights-0.safetensors").read_bytes()


def _rule(folder: Path) -> dict:
    model = json.loads((folder / "model" / "model.json").read_text())
    return {key: model[key] for key in ("calibration", "operating_point", "prior_shift", "fingerprint")}


def test_partial_tuning_on_kept_maps_gives_a_model_like_any_other(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["transfer.strategy=partial", "transfer.stages=2", "transfer.views=2", "transfer.soup=2", "augmentation.flip=horizontal"]
    run = train(data / "tiny.yaml", overrides=[*given, "decision.flips=horizontal"], out=tmp_path / "run")
    assert "frozen layers run once: 98 maps" in capsys.readouterr().err, (
        "36 training images twice, 13 of validation and their mirror images"
    )
    history = json.loads((run.folder / "model" / "model.json").read_text())["training"]["history"][0]
    assert set(history["tuned"]) == {"epochs", "best_epoch", "validation_auroc", "soup", "souped"}
    assert evaluate(run.folder).metrics["n"] == 11


def test_a_run_folder_is_complete(run: Path) -> None:
    tables = {"records.csv", "measurements.csv", "predictions.csv", "metrics.json", "report.html"}
    assert {path.name for path in run.iterdir()} >= tables | {"experiment.yaml", "environment.json", "log.jsonl", "model"}
    assert not (run / "checkpoints").exists(), "nothing continues a finished run; its checkpoints are several times its size"
    rows, judged = records.read(run / "records.csv"), predictions.read(run / "predictions.csv")
    assert len(rows) == 60
    assert set(judged["image"]) == set(rows["image"][rows["split"] == "validation"])
    assert set(metrics_file.read(run / "metrics.json")["splits"]) == {"validation"}
    events = [json.loads(line)["event"] for line in (run / "log.jsonl").read_text().splitlines()]
    assert events == ["images", "begin", "probe", "epoch", "begun", "epoch", "epoch", "epoch", "fitted", "gate", "finished"]


def test_the_same_seed_gives_the_same_model_and_decodes_nothing_again(data: Path, run: Path, tmp_path: Path) -> None:
    again = train(run / "experiment.yaml", data=data, out=tmp_path / "again", expect=run).folder
    assert _model_bytes(again) == _model_bytes(run)
    assert _rule(again) == _rule(run)
    images = json.loads((again / "log.jsonl").read_text().splitlines()[0])
    assert images["decoded"] == 0


def test_what_is_held_out_teaches_and_chooses_nothing(data: Path, tmp_path: Path) -> None:
    """Its labels are dealt anew: the network and its rule stay what they are."""
    table, given = pd.read_csv(data / "table.csv"), ["split.held_out=0.4", "transfer.strategy=linear-probe"]
    run = train(data / "tiny.yaml", overrides=given, out=tmp_path / "run").folder
    rows, judged = records.read(run / "records.csv"), predictions.read(run / "predictions.csv")
    held = rows[rows["split"] == "calibration"]
    assert len(held) > 20
    assert set(judged["image"][judged["split"] == "calibration"]) == set(held["image"])
    again = Model.load(run / "model").predict([data / name for name in held["image"]])
    own = judged[judged["split"] == "calibration"]
    np.testing.assert_allclose(np.sort(again["logit_square"]), np.sort(own["logit_square"]), atol=1e-4)
    assert set(metrics_file.read(run / "metrics.json")["splits"]) == {"validation"}
    assert len(read_seen(run / "model") or ()) == (rows["split"] != "test").sum(), "they are known to whoever judges the package later"
    assert "were held out: the network was neither trained on nor chosen by them" in report(run, data).read_text()
    swapped = table["file"].isin(held["image"])
    table.loc[swapped, "shape"] = table.loc[swapped, "shape"].map({"disc": "square", "square": "disc"})
    table.to_csv(data / "swapped.csv", index=False)
    other = train(data / "tiny.yaml", overrides=[*given, "cohorts.0.table=swapped.csv"], out=tmp_path / "other", with_report=False).folder
    assert _model_bytes(other) == _model_bytes(run)
    assert _rule(other) == _rule(run)


def test_a_curve_for_which_there_are_too_few_images_is_refused_before_training(data: Path, tmp_path: Path) -> None:
    asked = ["decision.calibration=isotonic"]
    for refused in (
        lambda: train(data / "tiny.yaml", overrides=asked, out=tmp_path / "run"),
        lambda: check(data / "tiny.yaml", overrides=asked),
    ):
        with pytest.raises(MedtlError, match=r"isotonic needs 100 images of either side .* choose temperature-intercept"):
            refused()
    assert not (tmp_path / "run" / "model").exists()


def test_another_seed_gives_another_model_and_is_noticed(data: Path, tmp_path: Path) -> None:
    """From random heads: a probe knows no seed, and may be the best epoch of its own fine-tuning."""
    first = train(data / "tiny.yaml", overrides=["transfer.strategy=full"], out=tmp_path / "first", with_report=False)
    with pytest.raises(GateRefusal, match="does not repeat"):
        train(data / "tiny.yaml", overrides=["transfer.strategy=full", "seed=1"], out=tmp_path / "other", expect=first.folder)
    assert _model_bytes(tmp_path / "other") != _model_bytes(first.folder)


def test_permuted_test_labels_change_nothing_that_is_learned(data: Path, run: Path, tmp_path: Path) -> None:
    table = pd.read_csv(data / "table.csv")
    rows = records.read(run / "records.csv").set_index("image")
    tested = (table["file"].map(rows["split"]) == "test").to_numpy()
    assert tested.sum() > 5
    table.loc[tested, "shape"] = table.loc[tested, "shape"].map({"disc": "square", "square": "disc"})
    table.to_csv(data / "permuted.csv", index=False)
    other = train(data / "tiny.yaml", overrides=["cohorts.0.table=permuted.csv"], out=tmp_path / "permuted").folder
    assert _model_bytes(other) == _model_bytes(run)
    assert _rule(other) == _rule(run)
    ours, theirs = evaluate(run, out=tmp_path / "a").metrics, evaluate(other, out=tmp_path / "b").metrics
    assert ours["auroc"]["value"] == pytest.approx(1 - theirs["auroc"]["value"])


def test_a_run_is_never_overwritten(data: Path, run: Path) -> None:
    with pytest.raises(MedtlError, match="is not empty, and a run is never overwritten"):
        train(data / "tiny.yaml", out=run)
    with pytest.raises(MedtlError, match="is finished; there is nothing to resume"):
        train(data / "tiny.yaml", out=run, resume=True)


def test_a_refused_start_leaves_nothing_behind(data: Path, tmp_path: Path) -> None:
    for mistake, message in (("cohorts.0.image=fil", "no column 'fil'"), ("backbone.weights=other.safetensors", "no file or folder")):
        with pytest.raises(MedtlError, match=message):
            train(data / "tiny.yaml", overrides=[mistake], out=tmp_path / "refused")
        assert not (tmp_path / "refused").exists()
    with pytest.raises(MedtlError, match="there is no folder"):
        train(data / "tiny.yaml", out=tmp_path / "refused", resume=True)


def test_folds_test_every_image_once_and_make_an_ensemble(data: Path, tmp_path: Path) -> None:
    overrides = ["split.folds=3", "transfer.strategy=linear-probe"]
    folder = train(data / "tiny.yaml", overrides=overrides, out=tmp_path / "folds").folder
    assert sorted(path.name for path in (folder / "model").glob("weights-*")) == [f"weights-{i}.safetensors" for i in range(3)]
    evaluate(folder)
    table = predictions.read(folder / "predictions.csv")
    tested = table[table["split"] == "test"]
    assert len(tested) == tested["image"].nunique() == 60
    for fold, rows in tested.groupby("fold"):
        learned = records.read(folder / "folds" / fold / "records.csv")
        assert set(rows["image"]) == set(learned["image"][learned["split"] == "test"])
    assert metrics_file.read(folder / "metrics.json")["splits"]["test"]["n"] == 60


def test_the_adjusted_decision_is_the_same_in_training_package_evaluation_and_prediction(data: Path, tmp_path: Path) -> None:
    table = pd.read_csv(data / "table.csv")
    table.loc[table.index[:8], "shape"] = "rare"
    table.to_csv(data / "three.csv", index=False)
    overrides = [
        "cohorts.0.table=three.csv",
        "task={classes: {disc: [disc], square: [square], rare: [rare]}}",
        "transfer.strategy=linear-probe",
        "decision.adjust=1",
    ]
    folder = train(data / "tiny.yaml", overrides=overrides, out=tmp_path / "adjusted").folder
    evaluate(folder)
    answers = predictions.read(folder / "predictions.csv")
    assert set(answers["split"]) == {"validation", "test"}
    p = predictions.probabilities(answers)
    weighed = p / p[answers["split"] == "validation"].mean(axis=0)
    expected = np.array(["disc", "square", "rare"])[weighed.argmax(axis=1)]
    assert list(answers["predicted"]) == list(expected)
    assert (p.argmax(axis=1) != weighed.argmax(axis=1)).any(), "it changed something"
    again = Model.load(folder / "model", "cpu").predict([data / image for image in answers["image"]])
    assert list(again["predicted"]) == list(expected)


def test_too_many_broken_images_stop_the_run(data: Path, tmp_path: Path) -> None:
    table = pd.read_csv(data / "table.csv")
    (data / "broken.png").write_bytes(b"no picture")
    pd.concat([table, pd.DataFrame({"file": ["broken.png"], "shape": ["disc"]})]).to_csv(data / "with_broken.csv", index=False)
    with pytest.raises(MedtlError, match=r"1 of 61 images of cohort 'default' cannot be used(.|\n)*broken\.png"):
        train(data / "tiny.yaml", overrides=["cohorts.0.table=with_broken.csv", "image.quarantine_share=0.01"], out=tmp_path / "stopped")
    folder = train(
        data / "tiny.yaml", overrides=["cohorts.0.table=with_broken.csv", "transfer.strategy=linear-probe"], out=tmp_path / "told"
    ).folder
    rows = records.read(folder / "records.csv").set_index("image")
    assert rows.loc["broken.png", "split"] == "excluded"
    (data / "broken.png").unlink()


def test_resuming_with_other_settings_is_refused(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*args: object) -> None:
        raise MedtlError("stopped")

    monkeypatch.setattr("medtl.flows.fitting.fit", stop)
    with pytest.raises(MedtlError, match="stopped"):
        train(data / "tiny.yaml", out=tmp_path / "begun")
    with pytest.raises(MedtlError, match="was begun with other settings"):
        train(data / "tiny.yaml", overrides=["transfer.rate=0.1"], out=tmp_path / "begun", resume=True)


@pytest.mark.slow
def test_kill_9_at_any_moment_costs_nothing(data: Path, run: Path, tmp_path: Path) -> None:
    """Killed at random moments and resumed until it ends: the same weights and rule, byte for byte."""
    command = [sys.executable, "-X", "faulthandler", "-m", "medtl", "train", str(data / "tiny.yaml"), "--out", str(tmp_path / "killed")]
    chance = random.Random(os.environ.get("MEDTL_KILL_SEED", "0"))
    log, said = tmp_path / "killed" / "log.jsonl", tmp_path / "said"

    def events() -> int:
        return log.read_text().count("\n") if log.exists() else 0

    def ended(*options: str, after: float = math.inf) -> int:
        """Its exit code; killed soon after it has written so many events. One that hangs says where its threads stand."""
        with said.open("wb") as output:
            process, deadline = subprocess.Popen([*command, *options], stdout=output, stderr=output), time.monotonic() + 300
            while process.poll() is None and events() < after and time.monotonic() < deadline:
                time.sleep(0.02)
            if events() >= after:
                time.sleep(chance.uniform(0, 1.5))
                process.kill()
            elif process.poll() is None:
                process.send_signal(signal.SIGABRT)
            return process.wait()

    for kill in range(int(os.environ.get("MEDTL_KILLS", "2"))):
        assert ended(*(["--resume"] if kill else []), after=events() + 1) != -signal.SIGABRT, said.read_text()
    if not (tmp_path / "killed" / "model").exists():
        assert ended("--resume") == 0, said.read_text()
    assert _model_bytes(tmp_path / "killed") == _model_bytes(run)
    assert _rule(tmp_path / "killed") == _rule(run)


@pytest.mark.filterwarnings("ignore::Warning:mlflow", "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # MLflow leaves its database connection open
def test_curves_go_to_tensorboard_and_to_mlflow_in_one_file_and_energy_to_the_log(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    pytest.importorskip("codecarbon")
    from mlflow import MlflowClient
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    overrides = ["tracking.tensorboard=true", "tracking.mlflow=true", "tracking.energy=true", "transfer.epochs=2"]
    folder = train(data / "tiny.yaml", overrides=overrides, out=tmp_path / "runs" / "tracked").folder
    curves = EventAccumulator(str(folder / "tensorboard")).Reload()
    assert [event.step for event in curves.Scalars("validation_auroc")] == [1, 2]
    client = MlflowClient(f"sqlite:///{tmp_path / 'runs' / 'mlflow.db'}")
    (experiment,) = client.search_experiments(filter_string="name = 'tiny'")
    (tracked,) = client.search_runs([experiment.experiment_id])
    assert [metric.step for metric in client.get_metric_history(tracked.info.run_id, "validation_auroc")] == [1, 2]
    assert not (Path.cwd() / "mlruns").exists()
    energy = [json.loads(text)["kwh"] for text in (folder / "log.jsonl").read_text().splitlines()]
    assert energy == sorted(energy)
    assert 0 <= energy[0] < energy[-1]
