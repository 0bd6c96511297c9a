"""Feedback: what is sent becomes a manifest that `medtl update` takes, without anything that was not sent; nothing else is kept."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pydicom
import pytest

from medtl.app.desk import Desk
from medtl.app.page import feedback as module
from medtl.app.page.building import received_by
from medtl.app.page.feedback import Feedback
from medtl.app.page.feedback_folder import FeedbackFolder
from medtl.app.page.readings import Opinion
from medtl.app.reading import read
from medtl.contracts import Task
from medtl.flows.manifest import read_manifest
from medtl.flows.update_sets import unprompted

NAME = "ZZCANARY"


@pytest.fixture(autouse=True)
def key(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDTL_KEY_FILE", str(tmp_path / "key"))


@pytest.fixture(scope="module")
def desk(package, tmp_path_factory) -> Desk:
    made = Desk([package(tmp_path_factory.mktemp("models") / "lungs")])
    made.copies = True
    return made


@pytest.fixture
def told(tmp_path) -> Feedback:
    return Feedback(FeedbackFolder(tmp_path / "said"))


def answer(desk, file):
    model = desk.model("lungs")
    return desk.answer_read("lungs", read(file, None, model.image, copy=True))


def owed(told, desk, file, first=None):
    return told.offered(answer(desk, file), first)["owed"]


def manifest(told) -> pd.DataFrame:
    return pd.read_csv(told.folder.of("lungs") / "manifest.csv", dtype=str, keep_default_na=False)


@pytest.fixture
def other(files, tmp_path):
    """`other(kind)`: another picture of the same patient, machine …"""

    def made(kind: str) -> Path:
        path = tmp_path / f"{NAME} other{files[kind].suffix}"
        if kind == "png":
            cv2.imwrite(str(path), cv2.imread(str(files[kind]), cv2.IMREAD_GRAYSCALE)[::-1])
        else:
            dataset = pydicom.dcmread(files[kind])
            dataset.PixelData = dataset.pixel_array[::-1].tobytes()
            dataset.save_as(path)
        return path

    return made


def every(told) -> pd.DataFrame:
    return pd.read_csv(told.folder.of("lungs") / "feedback.csv", dtype=str, keep_default_na=False)


@pytest.mark.parametrize("kind", ["png", "jpeg", "dicom", "nifti", "frames"])
def test_the_stored_picture_is_what_the_network_saw(desk, told, files, kind):
    given = owed(told, desk, files[kind])
    told.sent(given, "ill", [], "histology", "", True)
    place = told.folder.of("lungs") / manifest(told)["image"][0]
    again = read(place, None, desk.model("lungs").image)
    assert np.array_equal(again.pixels, given.answer.reading.pixels)
    assert again.measurement["pixel_hash"] == given.answer.reading.measurement["pixel_hash"]


def test_sixteen_bits_stay_sixteen_bits(desk, told, tmp_path):
    stored = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) * 13 + 7
    cv2.imwrite(str(tmp_path / "deep.png"), stored)
    told.sent(owed(told, desk, tmp_path / "deep.png"), "ill", [], "opinion", "", True)
    kept = cv2.imread(str(told.folder.of("lungs") / manifest(told)["image"][0]), cv2.IMREAD_UNCHANGED)
    assert kept.dtype == np.uint16
    assert np.array_equal(kept, stored)


def test_nothing_of_the_header_and_of_the_name_is_stored_but_a_keyed_hash(desk, told, files, other):
    told.sent(owed(told, desk, files["dicom"]), "ill", [], "follow-up", "as expected", True)
    row = manifest(told).iloc[0]
    assert (row["label"], row["basis"], row["seen_model"], row["modality"]) == ("ill", "follow-up", "true", "CR")
    assert len(row["patient_id"]) == 16
    told.sent(owed(told, desk, other("dicom")), "normal", [], "follow-up", "", True)
    assert len(manifest(told)) == 2
    assert manifest(told)["patient_id"].nunique() == 1, "the same patient, another picture"
    for path in told.folder.folder.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 or path.name == ".lock", path
        assert NAME not in path.name
        assert path.is_dir() or NAME.encode() not in path.read_bytes()


def test_without_consent_no_picture_and_no_row_for_update(desk, told, files):
    given = owed(told, desk, files["png"])
    changes = told.sent(given, "ill", [], "opinion", "=cmd()", False, "anna")
    assert "without the image" in changes["thanks"]
    assert given.png == b""
    assert not (told.folder.of("lungs") / "manifest.csv").exists()
    row = every(told).iloc[0]
    assert (row["image"], row["label"], row["comment"], row["person"]) == ("", "ill", "'=cmd()", "anna")
    told.sent(owed(told, desk, files["png"]), "cannot be told", [], "opinion", "", True)
    assert not (told.folder.of("lungs") / "manifest.csv").exists()
    assert every(told)["label"].tolist() == ["ill", ""]


def test_a_label_said_before_the_model_counts_as_not_prompted(desk, told, files, other):
    told.sent(owed(told, desk, files["png"], Opinion(("ill",), {"ill": 90})), "ill", [], "opinion", "", True)
    told.sent(owed(told, desk, other("png"), Opinion(("ill",), {"ill": 90})), "normal", [], "opinion", "", True)
    assert manifest(told)["seen_model"].tolist() == ["false", "true"]


def test_a_picture_stands_there_once_with_the_better_ground(desk, told, files):
    for label, basis in (("ill", "opinion"), ("normal", "histology"), ("ill", "opinion"), ("ill", "follow-up")):
        told.sent(owed(told, desk, files["png"]), label, [], basis, "", True)
        if basis == "histology":
            assert manifest(told)[["label", "basis"]].to_numpy().tolist() == [["normal", "histology"]]
    assert manifest(told)[["label", "basis"]].to_numpy().tolist() == [["ill", "follow-up"]]
    assert len(every(told)) == 4


@pytest.mark.parametrize(
    ("label", "basis", "comment", "sentence"),
    [(None, "opinion", "", "Say what it is"), ("ill", None, "", "rests on"), ("ill", "opinion", "x" * 501, "500 at most")],
)
def test_what_is_missing_is_said_and_nothing_is_stored(desk, told, files, label, basis, comment, sentence):
    given = owed(told, desk, files["png"])
    assert sentence in told.sent(given, label, [], basis, comment, True)["thanks"]
    assert list(told.folder.folder.rglob("*")) == []
    assert given.png


def test_pixels_wait_in_memory_for_a_while_and_within_bounds(desk, told, files, monkeypatch):
    first = owed(told, desk, files["png"])
    monkeypatch.setattr(module, "MOST_BYTES", len(first.png))
    second = told.offered(answer(desk, files["png"]))
    assert second["owed"].png == b""
    assert not second["consent"].interactive
    first.since -= module.LONGEST + 1
    told.sweep()
    assert first.png == b""
    assert "Too late" in told.sent(first, "ill", [], "opinion", "", True)["thanks"]
    assert list(told.folder.folder.rglob("*")) == []


def test_an_upload_brings_the_form_and_leaves_nothing_on_disk(desk, told, files, tmp_path):
    place = tmp_path / "uploads" / "one"
    place.mkdir(parents=True)
    path = shutil.copy(files["dicom"], place / "upload.dcm")
    changes = received_by(desk, "lungs", [str(path)], None, False, None)
    assert changes["answer"].reading.view.copy
    assert [each for each in (tmp_path / "uploads").rglob("*") if each.is_file()] == []


def test_findings_have_columns_of_their_own(desk, told, files):
    task = Task(kind="multi", classes={"mass": (), "effusion": ()})
    given = answer(desk, files["png"])
    package = given.package.model_copy(update={"task": task, "name": "findings"})
    object.__setattr__(given, "package", package)
    told.sent(told.offered(given)["owed"], None, ["effusion"], "follow-up", "", True)
    file = told.folder.of("findings") / "manifest.csv"
    assert pd.read_csv(file)[["mass", "effusion"]].to_numpy().tolist() == [[0, 1]]
    assert read_manifest(file, task, {}, {}).table["label"].tolist() == ["effusion"]


def test_the_manifest_is_read_as_it_is(desk, told, files, other):
    for file, label, basis in ((files["png"], "ill", "histology"), (other("dicom"), "normal", "opinion")):
        told.sent(owed(told, desk, file), label, [], basis, "", True)
    task = desk.package("lungs").task
    found = read_manifest(told.folder.of("lungs") / "manifest.csv", task, {}, {}, further=("seen_model", "basis"))
    given = dict(zip(manifest(told)["image"], manifest(told)["label"], strict=True))
    assert {Path(image).name: label for image, label in zip(found.table["image"], found.table["label"], strict=True)} == {
        Path(image).name: label for image, label in given.items()
    }
    left, count = unprompted(found.table, told.folder.folder)
    assert (left["label"].tolist(), count) == (["ill"], 1)
