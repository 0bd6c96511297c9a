"""`medtl paper`: a kit out of a run, and out of an evaluation on outside data; never over another."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from medtl import predictions, records
from medtl.contracts import EXTERNAL
from medtl.errors import MedtlError
from medtl.evaluation import metrics_file
from medtl.flows.paper import paper
from medtl.flows.run import load_run


@pytest.fixture(autouse=True)
def light(tmp_path, monkeypatch):
    """Figures have tests of their own; the ledger of looks is the test's."""
    monkeypatch.setenv("MEDTL_STATE", str(tmp_path / "state"))
    monkeypatch.setattr("medtl.paper.figures.figures", lambda _: iter(()))
    monkeypatch.setattr("medtl.report.page._drawings", lambda *_: [])


def test_a_run_whose_test_was_not_opened(make_run):
    run = make_run()
    kit = paper(run)
    assert kit == run / "paper"
    methods = (kit / "methods.md").read_text()
    assert "the test images were not opened" in methods
    assert "`test_resnet`" in methods
    assert "all layers learn, from random weights" in methods
    assert str(run.parent) not in "".join(path.read_text() for path in kit.glob("*.*") if path.suffix != ".docx"), "no path of this machine"
    figures = pd.read_csv(kit / "tables" / "validation_figures.csv").set_index("figure")
    assert figures.loc["auroc", "value"] == pytest.approx(load_run(run).metrics()["splits"]["validation"]["auroc"]["value"])
    assert not (kit / "tables" / "worst_errors.csv").exists()


def test_a_kit_is_never_overwritten(make_run, tmp_path):
    run = make_run()
    (tmp_path / "kit").mkdir()
    (tmp_path / "kit" / "mine.md").write_text("hours of work")
    with pytest.raises(MedtlError, match="not empty"):
        paper(run, tmp_path / "kit")


def test_outside_results_need_their_model(make_run, tmp_path):
    """Of the made run's own validation images, as if they had come from elsewhere."""
    run, place = make_run(), tmp_path / "outside"
    place.mkdir()
    table = load_run(run).predictions().assign(split=EXTERNAL)
    rows = load_run(run).records()
    predictions.write(table, place / "predictions.csv")
    records.write(rows[rows["image"].isin(table["image"])].assign(split=EXTERNAL), place / "records.csv")
    metrics_file.write(place / "metrics.json", {EXTERNAL: load_run(run).metrics()["splits"]["validation"]}, "patient", looks=1)
    with pytest.raises(MedtlError, match="--like"):
        paper(place)
    methods = (paper(place, like=run / "model") / "methods.md").read_text()
    assert f"Judged: external ({len(table)} images" in methods
    assert "How the model was trained is not in this folder" in methods
    assert "AdamW" not in methods


def test_a_model_of_other_classes_is_refused(make_run, tmp_path):
    run, place = make_run(), tmp_path / "outside"
    place.mkdir()
    table = load_run(run).predictions().assign(split=EXTERNAL, truth="x", predicted="x", decision="x")
    for name in ("logit_", "p_"):
        table = table.rename(columns={f"{name}ill": f"{name}x"})
    predictions.write(table, place / "predictions.csv")
    rows = load_run(run).records()
    records.write(rows[rows["image"].isin(table["image"])].assign(split=EXTERNAL), place / "records.csv")
    (place / "metrics.json").write_text(json.dumps({"format": 1, "unit": "patient", "looks": 1, "splits": {}}))
    with pytest.raises(MedtlError, match="has the class 'ill'"):
        paper(place, like=run)


def test_a_run_is_its_own_model(make_run, tmp_path):
    with pytest.raises(MedtlError, match="is a run"):
        paper(make_run(), like=tmp_path)


def test_a_fold_has_a_kit_of_its_own(make_run):
    run = make_run("folded", folds=2)
    text = (paper(run / "folds" / "1") / "flow.txt").read_text()
    rows = load_run(run / "folds" / "1").records()
    assert text.startswith("40 images in the tables")
    assert f"validation: {(rows['split'] == 'validation').sum()} images" in text


def test_where_nothing_was_judged_nothing_is_left(make_run):
    run = make_run("folded", folds=2)
    with pytest.raises(MedtlError, match="nothing was judged"):
        paper(run)
    assert not (run / "paper").exists()
