"""`medtl evaluate MODEL MANIFEST.csv`: labels spelt otherwise, images elsewhere, some broken, some seen before."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medtl import predictions, records
from medtl.contracts import Task
from medtl.errors import GateRefusal, MedtlError, Mistakes
from medtl.evaluation import metrics_file
from medtl.flows.accept import accept
from medtl.flows.evaluate import evaluate
from medtl.flows.manifest import with_spellings
from medtl.model.model import Model

HEADER = ["image", "label", "patient_id", "domain"]


@pytest.fixture(autouse=True)
def own_ledger(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDTL_STATE", str(tmp_path / "state"))


@pytest.fixture
def outside(tmp_path: Path, write_image: Callable[[Path, int], None]) -> Path:
    """A manifest of 12 new images of 6 patients in two hospitals."""
    place = tmp_path / "outside"
    for i in range(12):
        write_image(place / "images" / f"{i}.png", 1000 + i)
    return table(
        place / "manifest.csv", [[f"images/{i}.png", "ILL" if i % 3 else "normal", f"00{i // 2}", f"h{i // 6}"] for i in range(12)]
    )


def table(path: Path, rows: list[list[str]], header: list[str] = HEADER) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def test_a_damaged_package_is_told_before_a_look_is_counted(make_run, outside, tmp_path):
    run = make_run()
    (run / "model" / "metrics.json").write_text("{")
    with pytest.raises(MedtlError, match="cannot be read as metrics"):
        evaluate(run, outside, out=tmp_path / "out")
    (run / "model" / "metrics.json").unlink()
    assert evaluate(run, outside, out=tmp_path / "out").looks.by_this_model == 1


def test_a_manifest_is_judged_and_written(make_run, outside, tmp_path):
    done = evaluate(make_run(), outside, out=tmp_path / "out")
    found = predictions.read(tmp_path / "out" / "predictions.csv")
    assert list(found["truth"].value_counts()[["ill", "normal"]]) == [8, 4]
    assert set(found["split"]) == {"external"}
    assert set(found["domain"]) == {"h0", "h1"}
    metrics = metrics_file.read(tmp_path / "out" / "metrics.json")
    assert metrics["splits"]["external"] == done.metrics
    assert metrics["unit"] == "patient"
    assert (done.metrics["n"], done.metrics["groups"]) == (12, 6)
    rows = records.read(tmp_path / "out" / "records.csv")
    assert "000" not in rows["patient_id"].tolist()
    assert rows["patient_id"].nunique() == 6
    assert done.looks.sentence(done.split) == "This is look 1 at these 12 external images, by 1 model."
    with pytest.raises(MedtlError, match="not empty"):
        evaluate(tmp_path / "run", outside, out=tmp_path / "out")


def test_rows_of_an_array_are_judged_as_files_are(make_run, outside, tmp_path):
    files = [outside.parent / f"images/{i}.png" for i in range(12)]
    np.savez(outside.parent / "set.npz", images=np.stack([np.asarray(Image.open(file)) for file in files]))
    rows = [["set.npz/images", str(i), "ill" if i % 3 else "normal", f"h{i // 6}"] for i in range(12)]
    evaluate(make_run(), table(outside.parent / "rows.csv", rows, ["image", "frame", "label", "domain"]), out=tmp_path / "out")
    found = predictions.read(tmp_path / "out" / "predictions.csv")
    assert found["frame"].tolist() == list(range(12))
    assert found["domain"].tolist() == ["h0"] * 6 + ["h1"] * 6
    alone = Model.load(tmp_path / "run" / "model").predict(files)
    np.testing.assert_allclose(predictions.probabilities(found), predictions.probabilities(alone), atol=1e-6)


def test_columns_and_labels_called_otherwise(make_run, outside, tmp_path):
    rows = [[f"images/{i}.png", "PNA" if i % 3 else "0"] for i in range(9)] + [["images/9.png", "unclear"]]
    manifest = table(outside.parent / "other.csv", rows, ["file", "dx"])
    done = evaluate(
        make_run() / "model",
        manifest,
        column={"image": "file", "label": "dx"},
        map={"PNA": "ill", 0: "normal", "unclear": "ignore"},
        out=tmp_path / "out",
    )
    assert done.metrics["n"] == 9
    assert {name: figures["support"] for name, figures in done.metrics["per_class"].items()} == {"normal": 3, "ill": 6}


def test_unknown_labels_are_refused_with_their_rows(make_run, outside, tmp_path):
    table(outside, [["images/0.png", "ILL"], ["images/1.png", "PNA"]], HEADER[:2])
    with pytest.raises(Mistakes) as caught:
        evaluate(make_run(), outside, out=tmp_path / "out")
    assert "PNA" in str(caught.value)
    assert "line 3" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_missing_images_are_refused_with_their_rows(make_run, outside):
    table(outside, [["images/0.png", "ILL"], ["images/none.png", "ILL"]], HEADER[:2])
    with pytest.raises(Mistakes, match=r"images/none\.png"):
        evaluate(make_run(), outside)


def test_broken_images_stay_as_rows_without_an_answer(make_run, outside, tmp_path):
    (outside.parent / "images" / "3.png").write_bytes(b"no picture")
    done = evaluate(make_run(), outside, out=tmp_path / "out")
    broken = done.predictions.set_index("image").loc["images/3.png"]
    assert (broken["truth"], broken["predicted"], broken["decision"]) == ("normal", "", "no answer")
    assert "[NOT_AN_IMAGE]" in broken["reason"]
    assert (done.metrics["n"], done.metrics["answered"]) == (12, 11)


def test_when_images_were_opened_is_known_also_where_one_cannot_be_read(make_run, outside, tmp_path):
    """The ledger counts all that were asked for, so lines are held against them all."""
    (outside.parent / "images" / "3.png").write_bytes(b"no picture")
    run = make_run()
    evaluate(run, outside, out=tmp_path / "out")
    lines = tmp_path / "lines.yaml"
    lines.write_text("name: lines\ncriteria:\n  - {figure: unanswered, at_most: 1}\n")
    accept(lines, tmp_path / "out", like=run)
    note = json.loads((tmp_path / "out" / "acceptance.json").read_text())["note"]
    assert "AFTER these images were first opened" in note


def test_one_class_alone_can_be_judged(make_run, outside, tmp_path):
    table(outside, [[f"images/{i}.png", "ILL"] for i in range(6)], HEADER[:2])
    done = evaluate(make_run(), outside, out=tmp_path / "out")
    assert done.metrics["auroc"]["value"] is None
    assert done.metrics["per_class"]["ill"]["recall"]["value"] is not None


def test_what_patients_are_compared_by_is_taken_along_and_dates_are_not(make_run, outside, tmp_path):
    header = [*HEADER, "sex", "device", "date"]
    rows = [[f"images/{i}.png", "ILL" if i % 3 else "normal", f"00{i // 2}", "h", "FM"[i % 2], "A", "2020-01-02"] for i in range(12)]
    evaluate(make_run(), table(outside.parent / "more.csv", rows, header), out=tmp_path / "out")
    kept = records.read(tmp_path / "out" / "records.csv")
    assert sorted(kept["sex"]) == ["F"] * 6 + ["M"] * 6
    assert "device" in kept.columns
    assert "date" not in kept.columns


def test_images_beside_or_above_the_manifest(make_run, outside, tmp_path):
    images = outside.parent / "images"
    (tmp_path / "m").mkdir()
    manifest = table(tmp_path / "m" / "x.csv", [["../outside/images/0.png", "ILL"], [str(images / "1.png"), "normal"]], HEADER[:2])
    done = evaluate(make_run(), manifest, out=tmp_path / "out")
    assert list(done.predictions["image"]) == ["outside/images/0.png", "outside/images/1.png"]


def test_training_images_are_refused_unless_allowed(make_run, outside, data, tmp_path, capsys):
    run = make_run()
    rows = records.read(run / "records.csv")
    learned = rows.loc[rows["split"] == "train", "image"].iloc[0]
    (outside.parent / "images" / "5.png").write_bytes((data / learned).read_bytes())
    with pytest.raises(GateRefusal, match=r"images/5\.png") as caught:
        evaluate(run, outside, out=tmp_path / "out")
    assert caught.value.exit_code == 3
    assert not (tmp_path / "state").exists()
    evaluate(run, outside, out=tmp_path / "out", allow_seen=True)
    assert "WARNING" in capsys.readouterr().err


def test_test_images_of_the_run_are_not_training_images(make_run, data, tmp_path):
    run = make_run()
    rows = records.read(run / "records.csv")
    test = rows[rows["split"] == "test"]
    manifest = table(data / "m.csv", test[["image", "label"]].to_numpy().tolist(), HEADER[:2])
    assert evaluate(run, manifest, out=tmp_path / "out").metrics["n"] == len(test)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"column": {"lable": "x"}}, "did you mean 'label'"),
        ({"column": {"label": "dx"}}, "no such column"),
        ({"map": {"PNA": "pneumonia"}}, "no class 'pneumonia'"),
        ({"data": "."}, "--data"),
    ],
)
def test_options_that_cannot_be_meant(make_run, outside, options, words):
    with pytest.raises(MedtlError, match=words):
        evaluate(make_run(), outside, **options)


def test_a_manifest_without_labels(make_run, outside):
    table(outside, [["images/0.png"]], ["image"])
    with pytest.raises(MedtlError, match=r"--column label="):
        evaluate(make_run(), outside)


def test_a_spelling_moves_to_the_class_it_is_mapped_to():
    task = Task(classes={"a": ("x", "y"), "b": ("z",)}, positive="a", ignore=("q",))
    moved = with_spellings(task, {"x": "b", "q": "a", "z": "ignore"})
    assert moved.classes == {"a": ("y", "q"), "b": ("x",)}
    assert moved.ignore == ("z",)
    assert moved.positive == "a"
