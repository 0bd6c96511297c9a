"""`medtl evaluate RUN`: only the run's own test images, only unchanged files, every look counted, the model untouched."""

from __future__ import annotations

import json
import shutil
import zlib

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from medtl import predictions, records
from medtl.errors import MedtlError, Mistakes
from medtl.evaluation import metrics_file
from medtl.flows.evaluate import evaluate
from medtl.flows.run import load_run
from medtl.model.model import Model


@pytest.fixture(autouse=True)
def own_ledger(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDTL_STATE", str(tmp_path / "state"))


def test_test_rows_join_the_run_and_looks_are_counted(make_run, capsys):
    folder = make_run()
    before = load_run(folder).predictions()
    done = evaluate(folder)
    run = load_run(folder)
    rows = run.records()
    table = run.predictions()
    tested = table[table["split"] == "test"]
    assert sorted(tested["image"]) == sorted(rows.loc[rows["split"] == "test", "image"])
    assert (tested.set_index("image")["truth"] == rows.set_index("image")["label"][tested["image"]]).all()
    assert table[table["split"] == "validation"].reset_index(drop=True).equals(before)
    assert run.metrics()["splits"]["test"] == done.metrics
    assert run.metrics()["looks"] == 1
    n = len(tested)
    assert f"This is look 1 at these {n} test images, by 1 model." in capsys.readouterr().out
    evaluate(folder)
    assert load_run(folder).metrics()["looks"] == 2
    assert f"This is look 2 at these {n} test images, by 1 model." in capsys.readouterr().out
    assert load_run(folder).predictions().equals(table)
    assert "### test" in (folder / "model" / "card.md").read_text()


def test_another_run_on_the_same_images_is_a_further_look(make_run):
    evaluate(make_run("one"))
    other = make_run("two", seed=7)
    done = evaluate(other)
    assert (done.looks.count, done.looks.models) == (2, 2)
    assert load_run(other).metrics()["looks"] == 1


def test_the_answers_are_those_of_the_package(make_run, data):
    folder = make_run()
    tested = evaluate(folder).predictions.sort_values("image")
    again = Model.load(folder / "model", "cpu").predict([data / image for image in tested["image"]])
    assert np.allclose(predictions.logits(again), predictions.logits(tested), atol=1e-5)
    assert list(again["predicted"]) == list(tested["predicted"])


def test_each_fold_is_judged_by_the_model_that_did_not_learn_from_it(make_run, data):
    folder = make_run(folds=3)
    done = evaluate(folder)
    table = load_run(folder).predictions()
    tested = table[table["split"] == "test"]
    rows = load_run(folder).records().set_index("image")
    assert len(tested) == len(rows) == done.metrics["n"]
    assert (rows["fold"][tested["image"]].to_numpy() == tested["fold"]).all()
    assert (tested["fold"] == tested["member"]).all()
    for fold in range(3):
        own = tested[tested["fold"] == str(fold)].head(3)
        again = Model.load(folder / "folds" / str(fold) / "model", "cpu").predict([data / image for image in own["image"]])
        assert np.allclose(predictions.probabilities(again), predictions.probabilities(own), atol=1e-5)


def test_permuted_test_labels_leave_model_and_threshold_alone(make_run):
    folder = make_run()
    fixed = {
        path.name: path.read_bytes()
        for path in (folder / "model").iterdir()
        if path.suffix in (".safetensors", "") or path.name == "model.json"
    }
    rows = load_run(folder).records()
    test = rows["split"] == "test"
    rows.loc[test, "label"] = rows.loc[test, "label"].map({"normal": "ill", "ill": "normal"})
    records.write(rows, folder / "records.csv")
    done = evaluate(folder)
    assert fixed == {name: (folder / "model" / name).read_bytes() for name in fixed}
    assert set(done.predictions["truth"]) == {"normal", "ill"}


def test_changed_and_missing_files_are_refused_before_any_look(make_run, data, tmp_path):
    folder = make_run()
    rows = load_run(folder).records()
    first, second = rows.loc[rows["split"] == "test", "image"].head(2)
    (data / first).write_bytes((data / rows.loc[rows["split"] == "train", "image"].iloc[0]).read_bytes())
    (data / second).unlink()
    with pytest.raises(Mistakes) as caught:
        evaluate(folder)
    assert first in str(caught.value)
    assert second in str(caught.value)
    assert not (tmp_path / "state").exists()
    assert "test" not in load_run(folder).metrics()["splits"]


def test_a_changed_training_image_does_not_matter(make_run, data):
    folder = make_run()
    rows = load_run(folder).records()
    (data / rows.loc[rows["split"] == "train", "image"].iloc[0]).unlink()
    evaluate(folder)


def test_moved_images_are_found_by_data(make_run, data, tmp_path):
    folder = make_run()
    shutil.move(data, tmp_path / "elsewhere")
    with pytest.raises(MedtlError, match="--data"):
        evaluate(folder)
    assert evaluate(folder, data=tmp_path / "elsewhere").metrics["n"] > 0


def test_out_leaves_the_run_alone(make_run, tmp_path):
    folder = make_run()
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    evaluate(folder, out=tmp_path / "out")
    assert before == {path: path.read_bytes() for path in before}
    assert set(metrics_file.read(tmp_path / "out" / "metrics.json")["splits"]) == {"test"}
    assert set(predictions.read(tmp_path / "out" / "predictions.csv")["split"]) == {"test"}
    with pytest.raises(MedtlError, match="not empty"):
        evaluate(folder, out=tmp_path / "out")


def test_manifest_options_need_a_manifest(make_run):
    with pytest.raises(MedtlError, match="no manifest is given"):
        evaluate(make_run(), column={"label": "dx"})


def test_the_ledger_holds_no_names(make_run, tmp_path):
    folder = make_run()
    evaluate(folder)
    [ledger] = (tmp_path / "state" / "looks").iterdir()
    look = json.loads(ledger.read_text())
    assert set(look) == {"time", "experiment", "model"}
    assert look["model"] == load_run(folder).model("cpu").fingerprint


def one_label_a_patient(folder):
    """The patients of a run ill or not as a whole, in its records and its validation answers."""
    run = load_run(folder)
    rows = run.records()
    whole = dict(zip(rows["image"], np.where(rows["patient_id"].map(hash_parity), "ill", "normal"), strict=True))
    records.write(rows.assign(label=rows["image"].map(whole)), folder / "records.csv")
    table = run.predictions()
    predictions.write(table.assign(truth=table["image"].map(whole)), folder / "predictions.csv")


def hash_parity(text: str) -> bool:
    return zlib.crc32(text.encode()) % 2 == 0


def test_one_answer_per_patient_beside_those_by_image(make_run, capsys):
    folder = make_run()
    one_label_a_patient(folder)
    plain = evaluate(folder, out=folder / "plain").metrics
    done = evaluate(folder, by="patient", combine="max")
    run = load_run(folder)
    stored = run.metrics()["splits"]["test"]
    own = stored.pop("by_unit")
    assert stored == plain
    rows, table = run.records(), run.predictions()
    tested = table[table["split"] == "test"].merge(rows[["image", "patient_id"]], on="image")
    odds = (tested["p_ill"] / tested["p_normal"]).groupby(tested["patient_id"]).max()
    ill = (tested["truth"] == "ill").groupby(tested["patient_id"]).any()
    assert (own["unit"], own["combine"], own["n"]) == ("patient", "max", len(odds))
    assert own["per_class"]["ill"]["support"] == ill.sum()
    assert own["mixed"] == ((tested["truth"] == "ill").groupby(tested["patient_id"]).nunique() > 1).sum()
    assert own["auroc"]["value"] == pytest.approx(roc_auc_score(ill, odds))  # calibration keeps ranks
    assert own["fitted_on"] == rows.loc[rows["split"] == "validation", "patient_id"].nunique()
    assert own["threshold"] != plain["threshold"]
    assert "By patient: the largest of its images' log-odds" in capsys.readouterr().out
    assert done.metrics["by_unit"] == {**own}


def test_units_of_folds_are_fitted_fold_by_fold(make_run):
    folder = make_run(folds=3)
    own = evaluate(folder, by="patient").metrics["by_unit"]
    rows = load_run(folder).records()
    assert (own["n"], own["groups"]) == (rows["patient_id"].nunique(), rows["group_id"].nunique())
    assert own["threshold"] is None


def test_units_that_cannot_be_judged_cost_no_look(make_run, tmp_path):
    folder = make_run()
    with pytest.raises(MedtlError, match="do not know the lesion of an image; known are: patient"):
        evaluate(folder, by="lesion")
    with pytest.raises(MedtlError, match="did you mean 'patient'"):
        evaluate(folder, by="patients")
    with pytest.raises(MedtlError, match="there are: mean, max"):
        evaluate(folder, by="patient", combine="noisy-or")
    rows = load_run(folder).records()
    records.write(rows.assign(patient_id=["p" if i < 30 else "q" for i in range(len(rows))]), folder / "records.csv")
    with pytest.raises(MedtlError, match="have images in several splits"):
        evaluate(folder, by="patient")
    with pytest.raises(MedtlError, match="--by needs a run"):
        evaluate(folder, tmp_path / "other.csv", by="patient")
    assert not (tmp_path / "state").exists()
