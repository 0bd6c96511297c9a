"""`medtl evaluate --stress`: the same images, one look, plain answers as without it, and everything else leaves the views out."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from medtl import predictions
from medtl.errors import MedtlError
from medtl.evaluation import stress_file
from medtl.flows.evaluate import evaluate
from medtl.flows.report import report
from medtl.flows.run import load_run
from medtl.flows.sides import side_of
from medtl.imaging.cache import cache_dir
from medtl.imaging.store import open_store
from medtl.predictions import PLAIN
from medtl.records import KEY
from medtl.report.judged import judged
from medtl.report.mistakes import wrong
from medtl.stress.views import VIEWS

NAMES = {view.name for view in VIEWS}


@pytest.fixture(autouse=True)
def own_ledger(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDTL_STATE", str(tmp_path / "state"))


def looks(folder: Path) -> int:
    return sum(len(file.read_text().splitlines()) for file in (folder / "state" / "looks").glob("*"))


def of(table: pd.DataFrame, split: str, view: str | None = None) -> pd.DataFrame:
    own = table[table["split"] == split]
    return (own if view is None else own[own["view"] == view]).reset_index(drop=True)


def test_plain_answers_figures_and_looks_are_those_without_it(make_run, tmp_path, capsys):
    without = evaluate(make_run("without"))
    folder = make_run("with")
    done = evaluate(folder, stress=True)
    table = load_run(folder).predictions()
    assert done.metrics == without.metrics
    assert of(table, "test", PLAIN).equals(of(load_run(without.folder).predictions(), "test"))
    assert set(of(table, "test")["view"]) == {PLAIN, *NAMES}
    assert (of(table, "test").groupby("view").size() == done.metrics["n"]).all()
    assert set(of(table, "validation")["view"]) == {PLAIN}
    assert looks(tmp_path) == 2, "one for each evaluation"
    assert done.looks.count == 2
    assert "Under stress (test, " in capsys.readouterr().out


def test_whatever_reads_predictions_leaves_the_views_out(make_run):
    folder = make_run()
    without = side_of(evaluate(folder).folder).judged("test").reset_index(drop=True)
    evaluate(folder, stress=True)
    table = load_run(folder).predictions()
    assert side_of(folder).judged("test").reset_index(drop=True).equals(without)
    assert judged(table, "test").reset_index(drop=True).equals(without)
    assert set(wrong(table, "test")["view"]) <= {PLAIN}
    page = " ".join(report(folder).read_text().split())
    assert re.search(r"the test images were opened twice|Look 2 at these [0-9,]+ images, by 1 model,", page)


def test_validation_costs_no_look_and_keeps_the_plain_rows(make_run, tmp_path):
    folder = make_run()
    before, metrics = load_run(folder).predictions(), (folder / "metrics.json").read_bytes()
    done = evaluate(folder, stress=True, split="validation")
    after = load_run(folder).predictions()
    assert (looks(tmp_path), done.looks, done.split) == (0, None, "validation")
    assert of(after, "validation", PLAIN).equals(before)
    assert set(after["view"]) == {PLAIN, *NAMES}
    assert (folder / "metrics.json").read_bytes() == metrics
    evaluate(folder, stress=True, split="validation")
    assert load_run(folder).predictions().equals(after), "views take the place of those before"
    evaluate(folder)
    assert set(of(load_run(folder).predictions(), "validation")["view"]) == {PLAIN, *NAMES}, "opening the test images leaves them"


def test_each_view_is_answered_by_what_it_shows(make_run, data):
    folder = make_run()
    evaluate(folder, stress=True, split="validation")
    run = load_run(folder)
    table, model = run.predictions(), run.model("cpu")
    keys = of(table, "validation", PLAIN)[KEY]
    squares = open_store(keys, data, model.image, cache_dir()).read(np.arange(len(keys)))
    for view in VIEWS:
        found = of(table, "validation", view.name).set_index("image").loc[keys["image"]]
        assert np.allclose(predictions.logits(found), model.predict_arrays(view.show(squares))[0], atol=1e-4)


def test_an_evaluation_without_it_takes_away_what_an_earlier_one_left(make_run):
    folder = make_run()
    evaluate(folder, stress=True)
    assert set(stress_file.read(folder)) == {"test"}
    evaluate(folder, stress=True, split="validation")
    assert set(stress_file.read(folder)) == {"test", "validation"}
    evaluate(folder)
    assert set(stress_file.read(folder)) == {"validation"}
    assert set(of(load_run(folder).predictions(), "test")["view"]) == {PLAIN}


def test_folds_answer_each_for_their_own_images(make_run):
    folder = make_run(folds=2)
    done = evaluate(folder, stress=True)
    table = of(load_run(folder).predictions(), "test")
    assert set(table["member"]) == {"0", "1"}
    assert (table.groupby(["image", "view"]).size() == 1).all()
    assert (table.groupby("view").size() == done.metrics["n"]).all()
    assert (table.groupby("image")["fold"].nunique() == 1).all()


def test_outside_images_too(make_run, tmp_path, data):
    run = make_run()
    rows = load_run(run).records().query("split == 'test'")
    manifest = data / "outside.csv"
    rows[["image", "label", "patient_id"]].to_csv(manifest, index=False)
    done = evaluate(run, manifest, out=tmp_path / "out", stress=True)
    assert set(predictions.read(done.folder / "predictions.csv")["view"]) == {PLAIN, *NAMES}
    found = stress_file.read(done.folder)["external"]["probes"]
    assert "the package alone does not bring the weights it started from" in found["started"]
    assert [each["column"] for each in found["columns"]] == ["label"]
    assert found["columns"][0]["reason"], "eight patients are too few to ask"


@pytest.mark.parametrize(("start", "begins"), [("run", "Frozen: the training left the features"), ("other", "Before: test_resnet")])
def test_features_that_no_training_changed_have_no_before(make_run, tmp_path, start, begins):
    folder, _ = make_run(), make_run("other", seed=1)
    settings = (folder / "experiment.yaml").read_text()
    assert "weights: none" in settings
    started = settings.replace("weights: none", f"weights: {tmp_path / start / 'model'}").replace("strategy: scratch", "strategy: full")
    (folder / "experiment.yaml").write_text(started)
    evaluate(folder, stress=True, split="validation")
    assert stress_file.read(folder)["validation"]["probes"]["started"].startswith(begins)


def test_the_report_has_the_section_its_pictures_and_its_tables(make_run):
    folder = make_run()
    evaluate(folder, stress=True, split="validation")
    page = report(folder).read_text()
    assert '<section class="fresh" id="stress">' in page
    assert page.count("<figcaption>noise-") == 5
    assert {"validation_stress.csv", "validation_probes.csv"} <= {file.name for file in (folder / "report").iterdir()}
    shown = pd.read_csv(folder / "report" / "validation_stress.csv")
    assert set(shown["view"]) == {PLAIN, *NAMES}
    assert shown["auroc"].between(0, 1).all()
    evaluate(folder)
    assert 'id="stress"' in report(folder).read_text(), "validation's is still there"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"split": "tset"}, "--split 'tset': is unknown; did you mean 'test'"),
        ({"split": "validation"}, "--split validation goes with --stress"),
        ({"split": "validation", "stress": True, "by": "patient"}, "leave out --out and --by"),
    ],
)
def test_what_makes_no_sense_is_refused(make_run, options, sentence):
    with pytest.raises(MedtlError, match=sentence):
        evaluate(make_run(), **options)


def test_a_damaged_or_newer_file_is_said(tmp_path):
    (tmp_path / "stress.json").write_text("{")
    with pytest.raises(MedtlError, match="cut or damaged"):
        stress_file.read(tmp_path)
    (tmp_path / "stress.json").write_text(json.dumps({"format": 2, "splits": {}}))
    with pytest.raises(MedtlError, match="newer medtl"):
        stress_file.read(tmp_path)
