"""First guesses about a folder and a table: the column that matches most images, labels, ids."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from medtl.cohorts.proposals import healthy_first, propose
from medtl.errors import MedtlError


def table(folder: Path, *lines: str) -> None:
    (folder / "t.csv").write_text("\n".join(lines) + "\n")


def dicom(path: Path, uid: str, accession: str, patient: str = "A") -> None:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPInstanceUID = ExplicitVRLittleEndian, uid
    header = FileDataset(path, {}, file_meta=meta, preamble=b"\0" * 128)
    header.SOPInstanceUID, header.AccessionNumber, header.PatientID, header.Modality = uid, accession, patient, "DX"
    path.parent.mkdir(parents=True, exist_ok=True)
    pydicom.dcmwrite(path, header, enforce_file_format=False)


@pytest.mark.parametrize(
    ("written", "settings"),
    [
        ("i/{n}.png", {"image": "where"}),
        ("{n}.png", {"image": "where", "find": "name"}),
        ("{n}", {"image": "where", "find": "name"}),
    ],
)
def test_the_column_that_names_the_images_is_found(
    tmp_path: Path, touch: Callable[..., None], written: str, settings: dict[str, str]
) -> None:
    touch(*(f"i/{n:03}.png" for n in range(6)))
    rows = [f"{n},{written.format(n=f'{n:03}')},{'sick' if n % 2 else 'well'},p{n // 2},6{n}" for n in range(6)]
    table(tmp_path, "row,where,finding,patient_id,age", *rows, "6,i/gone.png,sick,p9,70")
    proposal = propose(tmp_path, "t.csv")
    assert proposal.cohort == {"name": "csv", "table": "t.csv", "label": "finding", "patient": "patient_id", **settings}
    assert proposal.counts == {"well": 3, "sick": 4}
    assert (proposal.by, proposal.keep) == ("patient", ["age"])
    assert any(line.startswith("6 of 7 rows matched: 'where' by") for line in proposal.found)
    assert proposal.remarks["cohorts"].startswith("1 rows have no image")
    assert propose(tmp_path) == proposal, "the only table of a folder need not be named"


@pytest.mark.parametrize(("column", "how"), [("uid", "sop_instance_uid"), ("acc", "accession_number")])
def test_dicom_rows_match_by_header(tmp_path: Path, column: str, how: str) -> None:
    for n in range(5):
        dicom(tmp_path / f"x/file{n}", f"1.2.{n}", f"S{n}")
    cells = {"uid": "1.2.{n}", "acc": "S{n}"}[column]
    table(tmp_path, f"{column},label", *(f"{cells.format(n=n)},{n % 2}" for n in range(6)))
    proposal = propose(tmp_path, "t.csv")
    assert proposal.cohort == {"name": "dicom", "table": "t.csv", "label": "label", "match": how, "key": column}
    assert proposal.by == "patient"
    words = {"uid": "SOPInstanceUID", "acc": "AccessionNumber"}[column]
    assert f"5 of 6 rows matched: '{column}' by {words}" in proposal.found


def test_patients_of_headers_are_kept_together_where_a_table_names_dicom_files(tmp_path: Path) -> None:
    for n in range(6):
        dicom(tmp_path / f"x/{n}.dcm", f"1.2.{n}", "S", f"P{n // 2}")
    table(tmp_path, "image,label,lesion_id", *(f"x/{n}.dcm,{n % 2},L{n}" for n in range(6)))
    proposal = propose(tmp_path)
    assert proposal.cohort["patient"] == {"from": "header"}
    assert proposal.by == "patient"
    assert "6 of 6 images have a patient id in their DICOM header" in proposal.found
    table(tmp_path, "image,label,patient", *(f"x/{n}.dcm,{n % 2},Q{n}" for n in range(6)))
    assert propose(tmp_path).cohort["patient"] == "patient", "what the table says goes first"


def test_names_with_marks_match_however_they_are_kept(tmp_path: Path, touch: Callable[..., None]) -> None:
    touch(*(f"Mu\u0308ller{n}.png" for n in range(4)))
    table(tmp_path, "image,label", *(f"M\u00fcller{n}.png,{n % 2}" for n in range(4)))
    assert "4 of 4 rows matched: 'image' by path" in propose(tmp_path).found


def test_the_better_rate_wins(tmp_path: Path, touch: Callable[..., None]) -> None:
    touch(*(f"{n}.png" for n in range(6)))
    table(tmp_path, "some,most,label", *(f"{n if n < 2 else 'x'},{n if n < 5 else 'x'},{n % 2}" for n in range(6)))
    assert propose(tmp_path, "t.csv").cohort["image"] == "most"


def test_class_folders_need_no_table(tmp_path: Path, touch: Callable[..., None]) -> None:
    touch("normal/1.png", "sick/2.png", "sick/3.png")
    proposal = propose(tmp_path)
    assert (proposal.cohort, proposal.counts, proposal.by) == ({"name": "folders"}, {"normal": 1, "sick": 2}, "image")
    dicom(tmp_path / "normal/4.dcm", "1.2", "S")
    assert propose(tmp_path).cohort["patient"] == {"from": "header"}


def test_folders_for_the_parts_of_a_split_stand_above_the_classes(tmp_path: Path, touch: Callable[..., None]) -> None:
    touch(*(f"{part}/{name}/{n}.png" for part in ("train", "val", "Test") for name in ("NORMAL", "PNEUMONIA") for n in range(2)))
    proposal = propose(tmp_path)
    assert (proposal.cohort, proposal.counts, proposal.given_split) == ({"name": "folders"}, {"NORMAL": 6, "PNEUMONIA": 6}, "split")
    assert proposal.found[0] == "12 images in parts of a given split: Test 4, train 4, val 4"


def test_subfolders_of_classes_are_taken_for_patients(tmp_path: Path, touch: Callable[..., None]) -> None:
    touch(*(f"{name}/patient{n}/1.png" for name in ("normal", "sick") for n in range(3)))
    proposal = propose(tmp_path)
    assert proposal.cohort == {"name": "folders", "patient": {"from": "path", "pattern": "^[^/]+/([^/]+)/"}}
    assert proposal.by == "patient"
    assert any("taken for its patient's" in line for line in proposal.found)
    touch("normal/1.png")
    assert propose(tmp_path).by == "image", "one image lies in no subfolder"


@pytest.mark.parametrize("inside", [("images",), ("left", "right"), ("train", "test", "val")])
def test_subfolders_that_are_no_patients(tmp_path: Path, touch: Callable[..., None], inside: tuple[str, ...]) -> None:
    touch(*(f"{name}/{place}/{n}.png" for name in ("normal", "sick") for place in inside for n in range(2)))
    assert propose(tmp_path).cohort == {"name": "folders"}


def test_masks_are_not_counted_as_images(tmp_path: Path, touch: Callable[..., None]) -> None:
    touch(*(f"{name}/{n}{mask}.png" for name in ("benign", "malignant") for n in range(2) for mask in ("", "_mask")))
    proposal = propose(tmp_path)
    assert proposal.counts == {"benign": 2, "malignant": 2}
    assert "4 images are masks of others by their names" in proposal.found


def test_what_is_left_out_is_said(tmp_path: Path, touch: Callable[..., None]) -> None:
    touch("0.heic", "1.HEIF", "2.gif", "3.jp2", "4.j2k", "5.pgm", "notes.txt", "old.csv")
    table(tmp_path, "image,label", *(f"{n},{n % 2}" for n in range(6)))
    proposal = propose(tmp_path, "t.csv")
    assert proposal.found[0] == "6 image files; 't.csv' has 6 rows"
    assert proposal.found[-1] == "2 files are no image by the suffix (.csv 1, .txt 1)", "the table that was read is none of them"


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (("images", "images/0", "masks/0"), r"1 folder\(s\) of images and no table \(1 image is the mask of another by its name\); give"),
        (("images", "masks"), "masks beside images: masks are no class; give a table of labels"),
        (("benign", "malignant", "Lung_Masks"), "Lung_Masks beside benign, malignant: masks are no class; move them elsewhere"),
        (("train", "test", "extra"), r"parts of a split \(test, train\) beside extra"),
        (("train", "test"), r"no folder per class in test, train \(images only\); give a table of labels: --table"),
        (("train/images", "test/images"), r"no folder per class in test, train \(images\)"),
    ],
)
def test_folders_that_are_no_classes_are_refused(
    tmp_path: Path, touch: Callable[..., None], folders: tuple[str, ...], message: str
) -> None:
    touch(*(f"{folder}/{place}.png" if folder[-1] != "0" else f"{folder}.png" for place, folder in enumerate(folders)))
    with pytest.raises(MedtlError, match=message):
        propose(tmp_path)


def test_folders_of_patients_are_no_classes_and_their_names_are_not_shown(tmp_path: Path, touch: Callable[..., None]) -> None:
    touch(*(f"Meier Hans {number}/1.png" for number in range(51)))
    with pytest.raises(
        MedtlError, match="51 folders of images, more than 50 classes; if they are patients or studies, give a table"
    ) as said:
        propose(tmp_path)
    assert "Meier" not in str(said.value)


def test_archives(tmp_path: Path) -> None:
    arrays = {f"{part}_{kind}": np.zeros((3, 1), np.uint8) for part in ("train", "test") for kind in ("images", "labels")}
    arrays["test_labels"] = np.array([[1], [0], [1]])
    np.savez(tmp_path / "set.npz", **arrays)
    proposal = propose(tmp_path)
    assert (proposal.cohort, proposal.counts) == ({"name": "medmnist", "file": "set.npz"}, {"0": 4, "1": 2})
    assert proposal.given_split == "split"


def archive(folder: Path, labels: Any) -> None:
    np.savez(folder / "set.npz", train_images=np.zeros((4, 2, 2), np.uint8), train_labels=labels)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.eye(4, 14, dtype=np.uint8), r"train_labels has shape \(4, 14\) of uint8; one whole number .*{kind: multi"),
        (np.array(["a", "b", "c", "d"]), "train_labels has shape .*; one whole number per image is needed"),
        (np.array([0.0, 1.0, 0.5, 1.0]), "of float64; one whole number per image is needed"),
        (np.array(["a", 1, None, 2], object), "'set.npz' cannot be read as .npz arrays without pickles"),
        (np.array([0, 1, 0]), "train_images holds 4 images but train_labels 3 labels"),
        (np.zeros(4, int), r"labels of one class \(0\); at least two are needed"),
    ],
)
def test_archives_that_the_cohort_would_refuse_are_not_proposed(tmp_path: Path, labels: Any, message: str) -> None:
    archive(tmp_path, labels)
    with pytest.raises(MedtlError, match=message):
        propose(tmp_path)


def test_what_is_no_archive_is_said(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", images=np.zeros((3, 2, 2)), labels=np.arange(3))
    with pytest.raises(MedtlError, match=r"'set.npz' has no arrays PART_images and PART_labels, .*; it holds: images, labels"):
        propose(tmp_path)
    for content in (b"junk", b"\x93NUMPY\x01\x00"):
        (tmp_path / "set.npz").write_bytes(content)
        with pytest.raises(MedtlError, match=r"'set\.npz' cannot be read: it is no \.npz file"):
            propose(tmp_path)


def test_personal_columns_are_not_kept(tmp_path: Path, touch: Callable[..., None]) -> None:
    touch(*(f"{n}.png" for n in range(4)))
    table(tmp_path, "image,label,patient_name,birth_date,sex", *(f"{n}.png,{n % 2},Doe,2000-01-01,F" for n in range(4)))
    assert propose(tmp_path).keep == ["sex"]


@pytest.mark.parametrize("column", ["PatientName", "Name", "birth_date", "comment"])
def test_names_are_never_taken_for_labels(tmp_path: Path, touch: Callable[..., None], column: str) -> None:
    touch(*(f"{n}.png" for n in range(6)))
    table(tmp_path, f"image,{column},verdict", *(f"{n}.png,{('Doe', 'Roe')[n % 2]},{'abc'[n % 3]}" for n in range(6)))
    proposal = propose(tmp_path)
    assert proposal.cohort["label"] == "verdict"
    assert "Doe" not in str(proposal)
    table(tmp_path, f"image,{column}", *(f"{n}.png,{('Doe', 'Roe')[n % 2]}" for n in range(6)))
    with pytest.raises(MedtlError, match="no column looks like labels") as refusal:
        propose(tmp_path)
    assert "Doe" not in str(refusal.value)
    table(tmp_path, "image,class_name", *(f"{n}.png,{'ab'[n % 2]}" for n in range(6)))
    assert propose(tmp_path).cohort["label"] == "class_name"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["image,label", "7.png,a", "8.png,b"], "no column of 't.csv' names any of the 4 images"),
        (["image,label", "1.png,a", "2.png,a"], "no column looks like labels"),
    ],
)
def test_what_cannot_be_guessed_is_said(tmp_path: Path, touch: Callable[..., None], lines: list[str], message: str) -> None:
    touch(*(f"{n}.png" for n in range(4)))
    table(tmp_path, *lines)
    with pytest.raises(MedtlError, match=message):
        propose(tmp_path)


def test_which_table_is_asked_and_none_is_said(tmp_path: Path, touch: Callable[..., None]) -> None:
    touch("1.png")
    with pytest.raises(MedtlError, match="no table; give one folder per class, or --table"):
        propose(tmp_path)
    touch("a.csv", "b.csv")
    with pytest.raises(MedtlError, match=r"several tables \(a.csv, b.csv\); say which: --table"):
        propose(tmp_path)


def test_the_healthy_class_stands_first() -> None:
    assert healthy_first(["Pneumonia", "No_findings"]) == ["No_findings", "Pneumonia"]
    assert healthy_first(["mel", "nv", "normal"]) == ["mel", "nv", "normal"]
    for pair in (["True", "False"], ["P", "N"], ["pos", "neg"]):
        assert healthy_first(pair) == pair[::-1]
