"""`medtl compare`: runs that are there, images that are the same, and words for what is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from medtl import predictions
from medtl.errors import MedtlError
from medtl.flows.compare import _trained, compare
from medtl.flows.evaluate import evaluate
from medtl.flows.sides import side_of

MakeRun = Callable[..., Path]


@pytest.fixture(autouse=True)
def own_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDTL_STATE", str(tmp_path / "state"))


def _outside(folder: Path, run: Path) -> Path:
    folder.mkdir()
    table = predictions.read(run / "predictions.csv").assign(split="external")
    predictions.write(table, folder / "predictions.csv")
    return folder


def test_two_runs_on_validation_and_on_test(make_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [make_run("one"), make_run("two", seed=1)]
    with pytest.raises(MedtlError, match="were not opened yet; open them first: medtl evaluate"):
        compare(runs, split="test")
    found = compare(runs, margin=0.05, out=tmp_path / "out")
    assert found.reference == "one"
    written = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert (written["split"], written["images"], written["margin"]) == ("validation", found.images, 0.05)
    [candidate] = written["candidates"]
    figure = candidate["figures"]["accuracy"]
    tables = [pd.read_csv(run / "predictions.csv") for run in runs]
    right = [(table["predicted"] == table["truth"]).mean() for table in tables]
    assert [figure["reference"], figure["value"]] == pytest.approx(right)
    assert set(pd.read_csv(tmp_path / "out" / "comparison.csv")["figure"]) == set(candidate["figures"])
    assert "no proof" in capsys.readouterr().err
    assert "Compared with one" in (tmp_path / "out" / "comparison.html").read_text()
    for run in runs:
        evaluate(run)
    assert compare(runs, split="test").images != found.images
    assert "not of training luck" in capsys.readouterr().err


def test_folds_are_held_against_folds(make_run: MakeRun) -> None:
    runs = [make_run("one", folds=2), make_run("two", folds=2, seed=5)]
    for run in runs:
        evaluate(run)
    assert compare(runs, split="test").images == len(predictions.read(runs[0] / "predictions.csv").query("split == 'test'"))


def test_it_says_how_many_trainings_of_each_were_judged(make_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other, seeds, folds = make_run("one"), make_run("other", seed=1), make_run("seeds", seed=2), make_run("folds", folds=2)
    for member in range(3):
        (seeds / "members" / str(member)).mkdir(parents=True)
    outside = _outside(tmp_path / "outside", one)
    for runs, said in (
        ([one, other], "not of training luck: one training of each was judged. Other seeds"),
        ([one, seeds], "trainings behind the answers: one 1; seeds 3, answering together. Other seeds"),
    ):
        compare(runs)
        assert said in capsys.readouterr().err
    assert _trained({"outside": side_of(outside), "folds": side_of(folds)}) == (
        "trainings behind the answers: outside not recorded there; folds 2, one for each fold"
    )


def test_outside_data_say_whose_task_it_is(make_run: MakeRun, tmp_path: Path) -> None:
    runs = [make_run("one"), make_run("two", seed=1)]
    outside = [_outside(tmp_path / f"outside-{run.name}", run) for run in runs]
    with pytest.raises(MedtlError, match="name one of the models, or its run, with --like"):
        compare(outside)
    assert compare(outside, like=runs[0]).candidates[0].name == "outside-two"
    assert compare(outside, like=runs[0] / "model").reference == "outside-one"


def test_other_images_other_tasks_and_nonsense_are_refused(make_run: MakeRun, tmp_path: Path) -> None:
    runs = [make_run("one"), make_run("two", seed=1)]
    with pytest.raises(MedtlError, match="named twice"):
        compare([runs[0], runs[0]])
    with pytest.raises(MedtlError, match="a reference and at least one candidate"):
        compare(runs[:1])
    with pytest.raises(MedtlError, match="--margin 2: is no margin"):
        compare(runs, margin=2)
    with pytest.raises(MedtlError, match=r"two: the predictions hold no judged image of the split 'calibration'|no judged image"):
        compare(runs, split="calibration")
    with pytest.raises(MedtlError, match="there is no such folder"):
        compare([runs[0], tmp_path / "none"])
    table = predictions.read(runs[1] / "predictions.csv")
    predictions.write(table.iloc[1:], runs[1] / "predictions.csv")
    with pytest.raises(MedtlError, match="hold other images"):
        compare(runs)
    settings = (runs[1] / "experiment.yaml").read_text()
    positive = json.loads((runs[0] / "model" / "model.json").read_text())["task"]["positive"]
    other = next(name for name in json.loads((runs[0] / "model" / "model.json").read_text())["task"]["classes"] if name != positive)
    (runs[1] / "experiment.yaml").write_text(settings.replace(f"positive: {positive}", f"positive: {other}"))
    with pytest.raises(MedtlError, match="have different tasks"):
        compare(runs)
