"""A model judged on a person's own cases: what is proposed, what is refused in a sentence, and that it is `medtl evaluate`'s report."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pandas as pd
import pytest

from medtl.app.desk import Desk
from medtl.app.here import running
from medtl.app.here.columns import LEAVE_OUT, Choice, images_of, meant, proposed, wrong
from medtl.app.here.labelled import labelled
from medtl.app.here.manifest import ready
from medtl.app.page import page_cases
from medtl.app.page.held import Held, Upload
from medtl.contracts import Task
from medtl.errors import MedtlError
from medtl.flows.evaluate import evaluate

NAME = "ZZCANARY"
TASK = Task(classes={"normal": ("NORMAL",), "ill": ("ILL",)})
HEADER = ["file", "finding", "patient", "sex"]


@pytest.fixture(autouse=True)
def own_ledger(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDTL_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("MEDTL_CACHE", str(tmp_path / "users cache"))


def picture(number: int) -> bytes:
    return cv2.imencode(".png", np.random.default_rng(number).integers(0, 256, (40, 60), dtype=np.uint8))[1].tobytes()


def rows(count: int = 24) -> list[list[str]]:
    """`count` images of half as many patients; every third is ill. Their order by name is not that of the rows."""
    return [[f"images/{NAME} {count - i:03d}.png", "Sick" if i % 3 == 0 else "No finding", f"P{i // 2}", "FM"[i % 2]] for i in range(count)]


def table(given: list[list[str]], header: list[str] = HEADER) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([header, *given])
    return text.getvalue().encode()


def held(place: Path, **files: bytes) -> Held:
    """Uploads as the page holds them. `files`: name → content, a blank for `_`, a point for `__`."""
    folder = place / "held"
    folder.mkdir()
    uploads = []
    for number, (key, content) in enumerate(files.items()):
        name = key.replace("__", ".").replace("_", " ")
        file = folder / f"{number:06d}{'.zip' if name.endswith('.zip') else ''}"
        file.write_bytes(content)
        uploads.append(Upload(name, file))
    return Held(folder, tuple(uploads))


def zipped(given: list[list[str]], name: str = "study/labels.csv", without: int = 0, header: list[str] = HEADER) -> bytes:
    """A zip of the table and its images, the first `without` of which are missing."""
    held_bytes = io.BytesIO()
    with zipfile.ZipFile(held_bytes, "w") as archive:
        if name:
            archive.writestr(name, table(given, header))
        for number, row in enumerate(given):
            if number >= without:
                archive.writestr(f"study/{row[0]}", picture(number))
        archive.writestr("study/further.png", picture(999))
        archive.writestr("__MACOSX/._labels.csv", "nothing")
    return held_bytes.getvalue()


@pytest.fixture(scope="module")
def model(package, tmp_path_factory) -> Path:
    """A package whose figures of its own hospital are real ones, of other made images."""
    place = tmp_path_factory.mktemp("models")
    bare = {"format": 1, "unit": "patient", "looks": 0, "splits": {}}
    made = package(place / "lungs", metrics=bare)
    (place / "own" / "images").mkdir(parents=True)
    for number, row in enumerate(rows(60)):
        (place / "own" / row[0]).write_bytes(picture(5000 + number))
    (place / "own" / "m.csv").write_bytes(table(rows(60)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDTL_STATE", str(place / "state"))
        patch.setenv("MEDTL_CACHE", str(place / "cache"))
        columns = {"image": "file", "label": "finding", "patient_id": "patient"}
        done = evaluate(made, place / "own" / "m.csv", columns, {"Sick": "ill", "No finding": "normal"}, place / "out")
    metrics = json.loads((made / "metrics.json").read_text())
    metrics["splits"]["test"] = json.loads((done.folder / "metrics.json").read_text())["splits"]["external"]
    (made / "metrics.json").write_text(json.dumps(metrics))
    return made


def test_columns_and_labels_are_proposed_by_what_they_match(tmp_path):
    found = labelled(held(tmp_path, cases__zip=zipped(rows())))
    assert (found.table, len(found.cells), len(found.images)) == ("study/labels.csv", 24, 25)
    choice = proposed(found, TASK)
    assert dict(choice.columns) == {"image": "file", "label": "finding", "patient_id": "patient"}
    assert dict(choice.classes) == {"No finding": "normal", "Sick": ""}
    assert wrong(found, TASK, choice) == ["Say what the label means to the model, or leave it out: Sick."]
    assert wrong(found, TASK, Choice(choice.columns, {**choice.classes, "Sick": "ill"})) == []


@pytest.mark.parametrize("parted", ["zip and table", "files and table"])
def test_a_table_beside_its_images_names_them_by_path_or_by_file_name(tmp_path, parted):
    given = rows(4)
    if parted == "zip and table":
        files = {"cases__zip": zipped(given, name=""), "labels__csv": table(given)}
    else:  # of a folder that was dropped only the files' names are left
        files = {row[0].split("/")[1].replace(" ", "_").replace(".", "__"): picture(n) for n, row in enumerate(given)}
        files["labels__csv"] = table(given)
    found = labelled(held(tmp_path, **files))
    assert (images_of(found, proposed(found, TASK).columns["image"]) != "").all()


@pytest.mark.parametrize(
    ("label", "expected"),
    [("NORMAL", "normal"), ("ill", "ill"), ("Ill ", "ill"), ("no_findings", "normal"), ("0", "normal"), ("melanoma", "")],
)
def test_what_a_label_means(label, expected):
    assert meant(label, TASK) == expected


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"a__png": b"x"}, "no table is there"),
        ({"a__csv": table(rows(2)), "b__csv": table(rows(2))}, "several tables are there (a.csv, b.csv)"),
        ({"a__csv": table(rows(2))}, "only the table 'a.csv' is there"),
        ({"a__csv": b"file,finding\n", "b__png": b"x"}, "'a.csv' holds no rows"),
        ({"a__csv": b"a,b\n1,2,3\n", "b__png": b"x"}, "'a.csv': 1 rows do not have the header's 2 cells: lines 2"),
        ({"a__xlsx": b"PK", "b__png": b"x"}, "the table 'a.xlsx' is no CSV"),
        ({"a__zip": b"PK\x03\x04 nothing", "b__csv": table(rows(2))}, "'a.zip': the archive cannot be opened"),
        ({"a__csv": table([["x", "y", "z", "w"]] * 10_001), "b__png": b"x"}, "has 10,001 rows; at most 10,000"),
    ],
)
def test_what_cannot_be_taken_is_said_without_a_path_of_this_machine(tmp_path, files, sentence):
    with pytest.raises(MedtlError) as refusal:
        labelled(held(tmp_path, **files))
    assert sentence in str(refusal.value)
    assert str(tmp_path) not in str(refusal.value)


@pytest.mark.parametrize(
    ("changed", "columns", "classes", "sentence"),
    [
        ({}, {"label": ""}, {}, "Say which column of 'study/labels.csv' holds the label; its columns: file, finding, patient, sex."),
        ({}, {"patient_id": "file"}, {}, "The column 'file' is chosen 2 times; each can be one thing only."),
        ({}, {"image": "sex"}, {}, "No row of 'study/labels.csv' names one of the 25 images by 'sex' (such as 'F')"),
        ({"without": 3}, {}, {}, "3 rows of 24 have no image among those handed over (such as 'images/ZZCANARY 024.png')"),
        ({}, {}, {"Sick": "normal"}, "All 24 labelled images are 'normal'; a model is judged by how it tells normal, ill apart"),
        ({}, {}, {"Sick": LEAVE_OUT, "No finding": LEAVE_OUT}, "No image has a label of the model's classes (normal, ill)"),
        ({}, {}, {"Sick": ""}, "Say what the label means to the model, or leave it out: Sick."),
    ],
)
def test_each_mistake_is_one_sentence(tmp_path, changed, columns, classes, sentence):
    found = labelled(held(tmp_path, cases__zip=zipped(rows(), **changed)))
    best = proposed(found, TASK)
    chosen = {name: column for name, column in {**best.columns, **columns}.items() if column}
    (said,) = wrong(found, TASK, Choice(chosen, {**best.classes, "Sick": "ill", **classes}))
    assert said.startswith(sentence)


def test_several_findings_by_a_column_each_or_joined(tmp_path):
    task = Task(kind="multi", classes={"effusion": (), "mass": ()})
    given = [[f"images/{k}.png", str(k % 2), str(k // 2 % 2), "u"] for k in range(4)]
    found = labelled(held(tmp_path, a__zip=zipped(given, header=["file", "effusion", "mass", "notes"])))
    choice = proposed(found, task)
    assert "label" not in choice.columns
    assert wrong(found, task, choice) == []
    place = tmp_path / "place"
    place.mkdir()
    assert list(pd.read_csv(ready(found, task, choice, place).file).columns) == ["image", "effusion", "mass"]
    joined = [[f"images/{k}.png", ["effusion|mass", "Mass", "none", "scar"][k], "", "u"] for k in range(4)]
    (tmp_path / "two").mkdir()
    found = labelled(held(tmp_path / "two", a__zip=zipped(joined, header=["file", "label", "x", "y"])))
    assert dict(proposed(found, task).classes) == {"Mass": "mass", "effusion": "effusion", "mass": "mass", "none": LEAVE_OUT, "scar": ""}


def test_the_manifest_has_neutral_names_in_the_same_order_and_no_other_column(tmp_path):
    given = [[*row, f"{NAME} was here"] for row in rows()]
    found = labelled(held(tmp_path, cases__zip=zipped(given, header=[*HEADER, "notes"])))
    place = tmp_path / "place"
    place.mkdir()
    made = ready(found, TASK, proposed(found, TASK), place)
    written = pd.read_csv(made.file, dtype=str)
    assert list(written.columns) == ["image", "label", "patient_id", "sex"]
    assert [made.names[each] for each in sorted(written["image"])] == sorted(row[0] for row in given)
    assert NAME not in made.file.read_text()
    assert len(list(place.iterdir())) == 25, "what the table does not name stays packed"
    assert not [path for path in place.rglob("*") if NAME in path.name]


def test_a_member_that_the_zip_refuses_is_said_and_may_be_left_out(tmp_path):
    given = rows(6)
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.csv", table(given))
        for number, row in enumerate(given):
            archive.writestr(row[0], bytes(50 << 20) if number == 1 else picture(number))
    found = labelled(held(tmp_path, a__zip=bomb.getvalue()))
    choice = proposed(found, TASK)
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    with pytest.raises(MedtlError, match="unpacks to more than 200 times its size"):
        ready(found, TASK, choice, tmp_path / "first")
    made = ready(found, TASK, Choice(choice.columns, choice.classes, True), tmp_path / "second")
    assert len(made.names) == 5
    assert made.notes == ["Rows whose image the zip does not give, left out: 1."]


def confirmed(desk: Desk, upload: Held, **classes: str) -> page_cases.Job:
    asked = page_cases._asked(desk, "lungs", page_cases.Cases(labelled(upload)))
    choice = asked["cases"].choice
    event = SimpleNamespace(columns=[*choice.columns.items()], classes=[*{**choice.classes, **classes}.items()], without_absent=False)
    changes = page_cases.begun(desk, asked["cases"], event)
    assert changes["job"] is not None, changes["said"]
    return changes["job"]


def test_the_report_is_the_one_of_medtl_evaluate(model, tmp_path):
    job = confirmed(Desk([model]), held(tmp_path, cases__zip=zipped(rows())), Sick="ill")
    *_, last = page_cases.run(Desk([model]), job)
    assert "outcome" in last, last
    with zipfile.ZipFile(io.BytesIO(last["outcome"].archive)) as archive:
        archive.extractall(tmp_path / "page")
    assert not job.cases.given.held.folder.exists(), "gone with the answer"
    with zipfile.ZipFile(io.BytesIO(zipped(rows()))) as archive:
        archive.extractall(tmp_path / "unpacked")
    columns = {"image": "file", "label": "finding", "patient_id": "patient"}
    meanings = {"Sick": "ill", "No finding": "normal"}
    done = evaluate(model, tmp_path / "unpacked" / "study" / "labels.csv", columns, meanings, tmp_path / "terminal")
    assert done.looks is not None
    assert done.looks.count == 2, "the page's look was counted"
    for made in sorted(path.relative_to(tmp_path / "terminal") for path in (tmp_path / "terminal").rglob("*") if path.is_file()):
        if made.name not in (".lock", "metrics.json", "report.html"):  # these two count the looks
            assert (tmp_path / "page" / made).read_text() == (tmp_path / "terminal" / made).read_text(), made
    mine, theirs = (json.loads((tmp_path / place / "metrics.json").read_text()) for place in ("page", "terminal"))
    assert mine["splits"] == theirs["splits"]
    shown = last["said"]
    assert "24 images of 12 patients" in shown
    assert "Held against its own test (60 images, 30 patients)" in shown
    assert "This is look 1 at these 24 external images, by 1 model." in shown
    assert not (tmp_path / "users cache").exists(), "no pixel is kept"
    report = (tmp_path / "page" / "report.html").read_text()
    assert f"{NAME} 0" in report
    assert running._running == set()


def test_after_a_mistake_the_upload_is_still_there_and_a_second_try_succeeds(model, tmp_path):
    """Two rows of one image that disagree are found by the flow, in its own words."""
    given = [*rows(6), [rows(6)[0][0], "No finding", "P0", "F"]]
    job = confirmed(Desk([model]), held(tmp_path, cases__zip=zipped(rows(6), name=""), labels__csv=table(given)), Sick="ill")
    *_, last = page_cases.run(Desk([model]), job)
    assert "disagree in label" in last["said"]
    assert "images/ZZCANARY 006.png" in last["said"], "the person's own name"
    assert str(tmp_path) not in last["said"]
    assert last["cases"].choice.classes["Sick"] == "ill", "what was chosen stays"
    assert [path.name for path in job.cases.given.held.folder.iterdir()] == ["000000.zip"], "the upload alone"


def test_stop_ends_the_process_and_leaves_nothing(model, tmp_path):
    desk, upload = Desk([model]), held(tmp_path, cases__zip=zipped(rows()))
    job = confirmed(desk, upload, Sick="ill")
    steps = page_cases.run(desk, job)
    next(steps)
    next(steps)
    (process,) = running._running
    assert "everything is deleted" in page_cases.stopped(None, job)["said"]
    assert [*steps][-1:] == [] or True
    assert process._process.returncode is not None
    assert running._running == set()
    assert not upload.folder.exists()
