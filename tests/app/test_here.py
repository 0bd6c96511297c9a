"""A model judged on a person's own cases: what is proposed, what is refused in a sentence, and that it is `medtl evaluate`'s report."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from medtl.app.desk import Desk
from medtl.app.here import running
from medtl.app.here.columns import LEAVE_OUT, Choice, images_of, meant, proposed, wrong
from medtl.app.here.labelled import labelled
from medtl.app.here.manifest import Ready, ready
from medtl.app.here.outcome import refusal
from medtl.app.page import page_cases
from medtl.app.page.held import Held, Upload
from medtl.contracts import Task
from medtl.errors import MedtlError
from medtl.flows.evaluate import evaluate

TASK = Task(classes={"normal": ("NORMAL",), "ill": ("ILL",)})


NAME = "ZZCANARY"


@pytest.fixture
def made(labelled_cases):
    """`made.rows()`, `made.table(rows)`, `made.picture(number)`, `made.zipped(rows)`."""
    return labelled_cases


@pytest.fixture(autouse=True)
def own_ledger(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDTL_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("MEDTL_CACHE", str(tmp_path / "users cache"))


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


def test_columns_and_labels_are_proposed_by_what_they_match(tmp_path, made):
    found = labelled(held(tmp_path, cases__zip=made.zipped(made.rows())))
    assert (found.table, len(found.cells), len(found.images)) == ("study/labels.csv", 24, 25)
    choice = proposed(found, TASK)
    assert dict(choice.columns) == {"image": "file", "label": "finding", "patient_id": "patient"}
    assert dict(choice.classes) == {"No finding": "normal", "Sick": ""}
    assert wrong(found, TASK, choice) == ["Say what the label means to the model, or leave it out: Sick."]
    assert wrong(found, TASK, Choice(choice.columns, {**choice.classes, "Sick": "ill"})) == []


@pytest.mark.parametrize("parted", ["zip and table", "files and table"])
def test_a_table_beside_its_images_names_them_by_path_or_by_file_name(tmp_path, parted, made):
    given = made.rows(4)
    if parted == "zip and table":
        files = {"cases__zip": made.zipped(given, name=""), "labels__csv": made.table(given)}
    else:  # of a folder that was dropped only the files' names are left
        files = {row[0].split("/")[1].replace(" ", "_").replace(".", "__"): made.picture(n) for n, row in enumerate(given)}
        files["labels__csv"] = made.table(given)
    found = labelled(held(tmp_path, **files))
    assert (images_of(found, proposed(found, TASK).columns["image"]) != "").all()


@pytest.mark.parametrize(
    ("there", "written", "expected"),
    [
        (["X/1.png", "X/2.png"], ["X/1.png", "X/2.png", "Y/1.png"], ["X/1.png", "X/2.png", ""]),  # another hospital's patient
        (["X/1.png"], ["Y/1.png"], [""]),
        (["out/X/1.png"], ["X/1.png"], ["out/X/1.png"]),
        (["X/1.png"], ["C:\\data\\X\\1.png"], ["X/1.png"]),
        (["X/1.png", "Y/1.png"], ["1.png", "Y/1.png"], ["", "Y/1.png"]),
        (["X/1.png", "1.png"], ["data/X/1.png", "data/1.png"], ["X/1.png", "1.png"]),
        (["1.png", "2.png"], ["X/1.png", "Y/1.png", "X/2.png"], ["", "", "2.png"]),  # of which of two folders was 1.png?
        (["1.png"], ["X/1.png", "X/1.png"], ["1.png", "1.png"]),
    ],
)
def test_a_row_is_never_judged_on_another_folder_s_image(tmp_path, there, written, expected):
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        for name in there:
            archive.writestr(name, b"x")
    table = "\n".join(["file,label", *(f"{cell},ill" for cell in written)]).encode()
    found = labelled(held(tmp_path, cases__zip=zipped.getvalue(), labels__csv=table))
    assert list(images_of(found, "file")) == expected
    if not any(expected):
        assert "image" not in proposed(found, TASK).columns


@pytest.mark.parametrize(
    ("label", "expected"),
    [("NORMAL", "normal"), ("ill", "ill"), ("Ill ", "ill"), ("no_findings", "normal"), ("0", "normal"), ("melanoma", ""), ("abnormal", "")],
)
def test_what_a_label_means(label, expected):
    assert meant(label, TASK) == expected


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (lambda made: {"a__png": b"x"}, "no table is there"),
        (lambda made: {"a__csv": made.table(made.rows(2)), "b__csv": made.table(made.rows(2))}, "several tables are there (a.csv, b.csv)"),
        (lambda made: {"a__csv": made.table(made.rows(2))}, "only the table 'a.csv' is there"),
        (lambda made: {"a__csv": b"file,finding\n", "b__png": b"x"}, "'a.csv' holds no rows"),
        (lambda made: {"a__csv": b"a,b\n1,2,3\n", "b__png": b"x"}, "'a.csv': 1 rows do not have the header's 2 cells: lines 2"),
        (lambda made: {"a__xlsx": b"PK", "b__png": b"x"}, "the table 'a.xlsx' is no CSV"),
        (lambda made: {"a__zip": b"PK\x03\x04 nothing", "b__csv": made.table(made.rows(2))}, "'a.zip': the archive cannot be opened"),
        (lambda made: {"a__csv": made.table([["x", "y", "z", "w"]] * 10_001), "b__png": b"x"}, "has 10,001 rows; at most 10,000"),
    ],
)
def test_what_cannot_be_taken_is_said_without_a_path_of_this_machine(tmp_path, files, sentence, made):
    with pytest.raises(MedtlError) as refusal:
        labelled(held(tmp_path, **files(made)))
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
def test_each_mistake_is_one_sentence(tmp_path, changed, columns, classes, sentence, made):
    found = labelled(held(tmp_path, cases__zip=made.zipped(made.rows(), **changed)))
    best = proposed(found, TASK)
    chosen = {name: column for name, column in {**best.columns, **columns}.items() if column}
    (said,) = wrong(found, TASK, Choice(chosen, {**best.classes, "Sick": "ill", **classes}))
    assert said.startswith(sentence)


def test_several_findings_by_a_column_each_or_joined(tmp_path, made):
    task = Task(kind="multi", classes={"effusion": (), "mass": ()})
    given = [[f"images/{k}.png", str(k % 2), str(k // 2 % 2), "u"] for k in range(4)]
    found = labelled(held(tmp_path, a__zip=made.zipped(given, header=["file", "effusion", "mass", "notes"])))
    choice = proposed(found, task)
    assert "label" not in choice.columns
    assert wrong(found, task, choice) == []
    place = tmp_path / "place"
    place.mkdir()
    assert list(pd.read_csv(ready(found, task, choice, place).file).columns) == ["image", "effusion", "mass"]
    joined = [[f"images/{k}.png", ["effusion|mass", "Mass", "none", "scar"][k], "", "u"] for k in range(4)]
    (tmp_path / "two").mkdir()
    found = labelled(held(tmp_path / "two", a__zip=made.zipped(joined, header=["file", "label", "x", "y"])))
    assert dict(proposed(found, task).classes) == {"Mass": "mass", "effusion": "effusion", "mass": "mass", "none": LEAVE_OUT, "scar": ""}


def test_the_manifest_has_neutral_names_in_the_same_order_and_no_other_column(tmp_path, made):
    given = [[*row, f"{NAME} was here"] for row in made.rows()]
    found = labelled(held(tmp_path, cases__zip=made.zipped(given, header=[*made.HEADER, "notes"])))
    place = tmp_path / "place"
    place.mkdir()
    prepared = ready(found, TASK, proposed(found, TASK), place)
    written = pd.read_csv(prepared.file, dtype=str)
    assert list(written.columns) == ["image", "label", "patient_id", "sex"]
    assert [prepared.names[each] for each in sorted(written["image"])] == sorted(row[0] for row in given)
    assert NAME not in prepared.file.read_text()
    assert len(list(place.iterdir())) == 25, "what the table does not name stays packed"
    assert not [path for path in place.rglob("*") if NAME in path.name]


def test_a_member_that_the_zip_refuses_is_said_and_may_be_left_out(tmp_path, made):
    given = made.rows(6)
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.csv", made.table(given))
        for number, row in enumerate(given):
            archive.writestr(row[0], bytes(50 << 20) if number == 1 else made.picture(number))
    found = labelled(held(tmp_path, a__zip=bomb.getvalue()))
    choice = proposed(found, TASK)
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    with pytest.raises(MedtlError, match="unpacks to more than 200 times its size"):
        ready(found, TASK, choice, tmp_path / "first")
    prepared = ready(found, TASK, Choice(choice.columns, choice.classes, True), tmp_path / "second")
    assert len(prepared.names) == 5
    assert prepared.notes == ["Rows whose image the zip does not give, left out: 1."]


def confirmed(desk: Desk, upload: Held, **classes: str) -> page_cases.Job:
    asked = page_cases._asked(desk, "lungs", page_cases.Cases(labelled(upload)))
    choice = asked["cases"].choice
    event = SimpleNamespace(columns=[*choice.columns.items()], classes=[*{**choice.classes, **classes}.items()], without_absent=False)
    changes = page_cases.begun(desk, asked["cases"], event)
    assert changes["job"] is not None, changes["said"]
    return changes["job"]


def test_the_report_is_the_one_of_medtl_evaluate(judged, tmp_path, made):
    job = confirmed(Desk([judged]), held(tmp_path, cases__zip=made.zipped(made.rows())), Sick="ill")
    *_, last = page_cases.run(Desk([judged]), job)
    assert "outcome" in last, last
    with zipfile.ZipFile(io.BytesIO(last["outcome"].archive)) as archive:
        archive.extractall(tmp_path / "page")
    assert not job.cases.given.held.folder.exists(), "gone with the answer"
    assert not (tmp_path / "users cache").exists(), "no pixel is kept"
    with zipfile.ZipFile(io.BytesIO(made.zipped(made.rows()))) as archive:
        archive.extractall(tmp_path / "unpacked")
    columns = {"image": "file", "label": "finding", "patient_id": "patient"}
    meanings = {"Sick": "ill", "No finding": "normal"}
    done = evaluate(judged, tmp_path / "unpacked" / "study" / "labels.csv", columns, meanings, tmp_path / "terminal")
    assert done.looks is not None
    assert done.looks.count == 2, "the page's look was counted"
    for each in sorted(path.relative_to(tmp_path / "terminal") for path in (tmp_path / "terminal").rglob("*") if path.is_file()):
        if each.name not in (".lock", "metrics.json", "report.html"):  # these two count the looks
            assert (tmp_path / "page" / each).read_text() == (tmp_path / "terminal" / each).read_text(), each
    mine, theirs = (json.loads((tmp_path / place / "metrics.json").read_text()) for place in ("page", "terminal"))
    assert mine["splits"] == theirs["splits"]
    shown = last["said"]
    assert "24 images of 12 patients" in shown
    assert "Held against its own test (60 images, 30 patients)" in shown
    assert "This is look 1 at these 24 external images, by 1 model." in shown
    report = (tmp_path / "page" / "report.html").read_text()
    assert f"{NAME} 0" in report
    assert running._running == set()


def test_after_a_mistake_the_upload_is_still_there_and_a_second_try_succeeds(judged, tmp_path, made):
    """Two rows of one image that disagree are found by the flow, in its own words."""
    given = [*made.rows(6), [made.rows(6)[0][0], "No finding", "P0", "F"]]
    job = confirmed(
        Desk([judged]), held(tmp_path, cases__zip=made.zipped(made.rows(6), name=""), labels__csv=made.table(given)), Sick="ill"
    )
    *_, last = page_cases.run(Desk([judged]), job)
    assert "disagree in label" in last["said"]
    assert "images/ZZCANARY 006.png" in last["said"], "the person's own name"
    assert str(tmp_path) not in last["said"]
    assert last["cases"].choice.classes["Sick"] == "ill", "what was chosen stays"
    assert [path.name for path in job.cases.given.held.folder.iterdir()] == ["000000.zip"], "the upload alone"


def test_images_that_the_model_learned_from_are_named_as_the_person_names_them():
    prepared = Ready(Path("m.csv"), "ab" * 8, {f"{'ab' * 8}-000001": "images/Ann.png"})
    said = refusal({"seen": [f"{'ab' * 8}-000001"]}, prepared, Path("/tmp/x"))
    assert said.startswith("The model learned from 1 of these images, or was chosen by them (such as 'images/Ann.png');")
    said = refusal({"refused": f"/tmp/x/{'ab' * 8}-000001: is wrong"}, prepared, Path("/tmp/x"))
    assert said == "images/Ann.png: is wrong."


def test_stop_ends_the_process_and_leaves_nothing(judged, tmp_path, made):
    desk, upload = Desk([judged]), held(tmp_path, cases__zip=made.zipped(made.rows()))
    job = confirmed(desk, upload, Sick="ill")
    steps = page_cases.run(desk, job)
    for _ in range(3):
        next(steps)
    (process,) = running._running
    assert "everything is deleted" in page_cases.stopped(None, job)["said"]
    assert not any("outcome" in each and each["outcome"] for each in steps)
    assert process._process.returncode is not None
    assert running._running == set()
    assert not upload.folder.exists()
