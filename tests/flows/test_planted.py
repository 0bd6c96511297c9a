"""From made images to what `medtl evaluate --stress` says: a network that learned from a planted marker is named as one, another is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from medtl.flows.evaluate import evaluate
from medtl.flows.run import load_run
from medtl.flows.train import train

CONFIG = """
name: planted
task: {classes: {normal: [normal], pneumonia: [pneumonia]}, positive: pneumonia}
cohorts: [{name: phantom, kind: chest, patients: 240, images: 1, size: 96}]
split: {by: patient, validation: 0.15, test: 0.3}
image: {size: 96, channels: 1}
backbone: {name: test_resnet, weights: none}
transfer: {strategy: scratch, epochs: 6, batch: 16, rate: 0.003}
trainer: {device: cpu, threads: 1}
"""
BORDER, MARKS = "part of what it knows lies at the border", "it goes by letters, crosses or ink"


@pytest.mark.slow
@pytest.mark.parametrize("marker", [0.95, None])
def test_a_trained_network_is_named_by_its_shortcut_and_by_none_without(
    marker: float | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MEDTL_STATE", str(tmp_path / "state"))
    (tmp_path / "planted.yaml").write_text(CONFIG)
    plant = [] if marker is None else [f"cohorts.0.faults.marker={marker}"]
    run = train(tmp_path / "planted.yaml", overrides=plant, out=tmp_path / "run", with_report=False)
    evaluate(run.folder, stress=True)
    said = capsys.readouterr().out
    assert load_run(run.folder).metrics()["splits"]["test"]["auroc"]["low"] > 0.55, "it has learned something"
    assert ((BORDER in said), (MARKS in said)) == (marker is not None, marker is not None)
