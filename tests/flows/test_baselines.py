"""Nearest training images beside the model: over the right images, out of the cache, or left out with the reason."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from medtl import records
from medtl.flows import baselines
from medtl.flows.evaluate import evaluate
from medtl.flows.report import report
from medtl.flows.run import load_run
from medtl.terminal import Line


@pytest.fixture(autouse=True)
def own_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDTL_STATE", str(tmp_path / "state"))


def _probed(run: Path) -> None:
    """As if it had been a linear probe."""
    settings = run / "experiment.yaml"
    settings.write_text(
        settings.read_text().replace("strategy: scratch", "strategy: linear-probe").replace("weights: none", "weights: gone.pth")
    )


def _by_name(store, *_):
    """Features that tell the classes apart for all but p00's images, which look like the other class."""
    ill = store.measurements["image"].str.startswith("ILL") ^ store.measurements["image"].str.contains("p00")
    random = np.random.default_rng(0)
    return (np.where(ill, 1.0, -1.0)[:, None] + random.normal(0, 0.1, (len(ill), 4))).astype(np.float32), "Features of one (file)."


@pytest.mark.parametrize("folds", [None, 2])
def test_the_nearest_training_images_are_asked(make_run, monkeypatch, folds):
    run = make_run(folds=folds)
    _probed(run)
    monkeypatch.setattr(baselines, "features", _by_name)
    opened = load_run(run)
    found = baselines.nearest_images(opened, "test", run.parent / "data", Line())
    tested = records.read(run / "records.csv")
    tested = tested[tested["split"] == "test"] if folds is None else tested
    expected = 1 - tested["image"].str.contains("p00").mean()
    assert found["accuracy"]["value"] == pytest.approx(expected)
    assert 0.7 < found["auroc"]["value"] <= 1
    assert found["nearest"] == 10
    places = [run] if folds is None else sorted((run / "folds").iterdir())
    assert found["of"] == min((records.read(place / "records.csv")["split"] == "train").sum() for place in places)


def test_a_changed_file_has_no_vote(make_run, monkeypatch, data):
    run = make_run()
    _probed(run)
    rows = records.read(run / "records.csv")
    name = rows.loc[rows["split"] == "train", "image"].iloc[0]
    (data / name).unlink()
    monkeypatch.setattr(baselines, "features", _by_name)
    found = baselines.nearest_images(load_run(run), "test", data, Line())
    assert found["of"] == (rows["split"] == "train").sum() - 1


def test_evaluate_leaves_it_in_the_folder_and_the_report_shows_it(make_run, monkeypatch):
    run = make_run()
    _probed(run)
    monkeypatch.setattr(baselines, "features", _by_name)
    monkeypatch.setattr("medtl.flows.report.said", lambda write, *_: write())
    evaluate(run)
    stored = json.loads((run / "baselines.json").read_text())["splits"]["test"]["neighbours"]
    page = report(run).read_text()
    assert f"the 10 nearest of {stored['of']} training images" in page
    assert f"{stored['auroc']['value']:.3f}" in page
    assert "before any training." in page


def test_what_cannot_be_had_is_left_out_with_its_reason(make_run, monkeypatch, data):
    run = make_run()
    found = baselines.nearest_images(load_run(run), "test", data, Line())
    assert found == {"reason": "scratch computes no features of the frozen network"}
    _probed(run)
    found = baselines.nearest_images(load_run(run), "test", data, Line())
    assert found["reason"].startswith("No features, for ")
    assert "gone.pth" in found["reason"]
    assert "unlike the others" not in found["reason"]
