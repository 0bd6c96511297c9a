"""Opening a run says what is missing."""

from __future__ import annotations

import pytest

import medtl
from medtl.errors import MedtlError
from medtl.flows.run import load_run, model_folder


def test_a_run_gives_its_tables_and_model(make_run, data):
    run = medtl.load_run(make_run())
    assert run.experiment.name == "made"
    assert len(run.records()) == 40
    assert set(run.predictions()["split"]) == {"validation"}
    assert set(run.metrics()["splits"]) == {"validation"}
    assert run.environment()["data_root"] == str(data)
    assert run.model("cpu").task == run.experiment.task
    assert run.folds() == []


def test_folds_are_runs(make_run):
    folder = make_run(folds=3)
    folds = load_run(folder).folds()
    assert [fold.folder.name for fold in folds] == ["0", "1", "2"]
    assert load_run(folder / "folds" / "1").experiment == folds[1].experiment
    assert (folds[1].records()["split"] == "test").any()


@pytest.mark.parametrize(("name", "words"), [("none", "no such folder"), ("", "holds no experiment.yaml")])
def test_no_run(tmp_path, name, words):
    with pytest.raises(MedtlError, match=words):
        load_run(tmp_path / name)


def test_an_unfinished_run_says_how_to_finish_it(make_run):
    folder = make_run()
    (folder / "metrics.json").unlink()
    with pytest.raises(MedtlError, match=r"no metrics\.json.*--resume"):
        load_run(folder).metrics()


def test_a_model_is_found_in_a_run_or_by_itself(make_run, tmp_path):
    folder = make_run()
    assert model_folder(folder) == model_folder(folder / "model") == folder / "model"
    for nothing in (tmp_path, tmp_path / "none"):
        with pytest.raises(MedtlError, match="model"):
            model_folder(nothing)
