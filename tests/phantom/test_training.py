"""A network from scratch finds the opacities on the easy setting, and nothing where the labels are shuffled."""

from __future__ import annotations

from pathlib import Path

import pytest

from medtl.flows.evaluate import evaluate
from medtl.flows.judging import Evaluation
from medtl.flows.train import train
from medtl.phantom.making import materialise
from medtl.phantom.settings import PhantomSettings
from medtl.records import read

CONFIG = """
name: made
task: {kind: single, classes: {normal: [], pneumonia: []}, positive: pneumonia}
cohorts: {name: phantom, kind: chest, patients: 360, images: 1, size: 64}
keep: [view]
split: {by: patient, validation: 0.12, test: 0.40}
image: {size: 64, channels: 1}
backbone: {name: test_resnet, weights: none}
transfer: {strategy: scratch, epochs: 14, batch: 16, rate: 0.003}
trainer: {device: cpu, precision: float32, threads: 1}
"""


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks are counted for this test alone; reports have tests of their own."""
    monkeypatch.setenv("MEDTL_STATE", str(tmp_path / "state"))
    monkeypatch.setattr("medtl.flows.report.said", lambda *_: None)


def trained(folder: Path, *overrides: str) -> Path:
    (folder / "made.yaml").write_text(CONFIG)
    return train(folder / "made.yaml", overrides=overrides, out=folder / "run").folder


def auroc(done: Evaluation) -> float:
    return float(done.metrics["auroc"]["value"])


@pytest.mark.slow
def test_opacities_are_found_from_scratch_here_and_in_the_other_hospital(tmp_path: Path) -> None:
    run = trained(tmp_path)
    done = evaluate(run)
    assert auroc(done) >= 0.95
    assert set(done.predictions["view"]) == {"plain"}, "the kept column `view` (PA, AP) is another thing"
    assert set(read(run / "records.csv")["view"]) == {"PA", "AP"}
    away = materialise(PhantomSettings(kind="chest", hospital="b", patients=60, images=1, size=64), tmp_path)
    outside = evaluate(run, away / "manifest.csv", out=tmp_path / "outside")
    assert set(outside.predictions["domain"]) == {"synthetic-b"}
    assert 0.6 <= auroc(outside) <= auroc(done)


def test_shuffled_labels_teach_nothing(tmp_path: Path) -> None:
    assert auroc(evaluate(trained(tmp_path, "cohorts.0.faults.labels=shuffled", "transfer.epochs=8"))) <= 0.6
