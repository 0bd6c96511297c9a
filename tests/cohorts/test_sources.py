"""Each kind of source: what it finds, what it refuses, with the rows."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from pydantic import ValidationError

from medtl.cohorts.joining import read_cohorts
from medtl.cohorts.splitting import make_records
from medtl.errors import Mistakes
from medtl.imaging.settings import ImageSettings
from medtl.imaging.store import open_store
from medtl.records import KEY


def mistakes(plan: Any, root: Path) -> str:
    with pytest.raises(Mistakes) as refusal:
        read_cohorts(plan, root)
    return str(refusal.value)


# Folders


def test_folders_take_the_class_from_the_first_folder(tmp_path: Path, plan: Callable[..., Any], touch: Callable[..., None]) -> None:
    touch("NORMAL/a.JPG", "NORMAL/deep/er/1.2.840.113", "PNA/b.nii.gz", "PNA/.hidden.png", "PNA/notes.txt", ".git/x.png", "loose.png")
    source = read_cohorts(plan({"name": "folders", "domain": "here"}), tmp_path)
    found = dict(zip(source.table["image"], source.table["label"], strict=True))
    assert found == {"NORMAL/a.JPG": "normal", "NORMAL/deep/er/1.2.840.113": "normal", "PNA/b.nii.gz": "pneumonia"}
    assert set(source.table["domain"]) == {"here"}
    assert source.notes == ["here: 1 image in no class folder left out", "here: 1 file is no image by the suffix (.txt 1)"]


def test_unknown_folders_are_refused_with_their_images(tmp_path: Path, plan: Callable[..., Any], touch: Callable[..., None]) -> None:
    touch("NORMAL/a.png", "PNEUMONA/b.png", "PNEUMONA/c.png", "other/d.png")
    message = mistakes(plan({"name": "folders"}), tmp_path)
    assert "2 rows with the label 'PNEUMONA'" in message
    assert "did you mean 'PNEUMONIA'?" in message
    assert "PNEUMONA/b.png, PNEUMONA/c.png" in message
    assert "1 row with the label 'other'" in message
    assert "the class" not in message, "the absent class is a consequence, not a second mistake"


def test_ignored_folders_leave_with_a_count(tmp_path: Path, plan: Callable[..., Any], touch: Callable[..., None]) -> None:
    touch("NORMAL/a.png", "PNEUMONIA/b.png", "masks/c.png", "masks/d.png")
    source = read_cohorts(plan({"name": "folders"}, ignore=["masks"]), tmp_path)
    assert len(source.table) == 2
    assert source.notes == ["default: 2 images of the ignored label 'masks' left out"]


def test_parts_above_the_classes_are_taken_where_the_split_asks_for_them(
    tmp_path: Path, plan: Callable[..., Any], touch: Callable[..., None]
) -> None:
    touch("x/train/NORMAL/a.png", "x/train/PNA/b.png", "x/Valid/NORMAL/c.png", "x/test/PNA/d/e.png", "x/test/loose.png")
    cohort = {"name": "folders", "folder": "x"}
    source = read_cohorts(plan(cohort, column="split"), tmp_path)
    rows = {image: (label, split) for image, label, split in source.table[["image", "label", "given_split"]].itertuples(index=False)}
    assert rows == {
        "x/train/NORMAL/a.png": ("normal", "train"), "x/train/PNA/b.png": ("pneumonia", "train"),
        "x/Valid/NORMAL/c.png": ("normal", "validation"), "x/test/PNA/d/e.png": ("pneumonia", "test"),
    }  # fmt: skip
    assert source.notes == ["default: 1 image in no class folder left out"]
    assert "the label 'train'" in mistakes(plan(cohort), tmp_path), "unasked, the first folder is the class as ever"
    touch("x/other/NORMAL/a.png")
    assert "there is no column 'split'" in mistakes(plan(cohort, column="split"), tmp_path)


def test_masks_beside_their_images_are_no_images(tmp_path: Path, plan: Callable[..., Any], touch: Callable[..., None]) -> None:
    names = ("NORMAL/a (1)", "PNA/images/b")
    touch(*(f"{name}.png" for name in names), "PNA/c_mask.png", "PNA/masks/alone.png")
    touch("NORMAL/a (1)_mask.png", "NORMAL/a (1)_mask_1.PNG", "PNA/masks/b.tif", "PNA/masks/b_mask.png")
    source = read_cohorts(plan({"name": "folders"}), tmp_path)
    assert sorted(source.table["image"]) == ["NORMAL/a (1).png", "PNA/c_mask.png", "PNA/images/b.png", "PNA/masks/alone.png"]
    assert source.notes == ["default: 4 images are masks of others by their names"]
    (tmp_path / "NORMAL/a (1)_mask.png").unlink()
    table(tmp_path, "image,label", "NORMAL/a (1).png,NORMAL", "PNA/images/b.png,PNA")
    source = read_cohorts(plan(CSV), tmp_path)
    assert len(source.table) == 2
    assert source.notes == ["default: 1 image is the mask of another by its name"], "masks need no row"


def test_ids_come_from_file_names(tmp_path: Path, plan: Callable[..., Any], touch: Callable[..., None]) -> None:
    touch("NORMAL/IM-1-0001.png", "PNEUMONIA/person7_bacteria_1.png", "PNEUMONIA/person7_virus_2.png", "PNEUMONIA/unnamed.png")
    cohort = {"name": "folders", "patient": {"from": "filename", "pattern": r"(person\d+|IM-\d+)"}}
    source = read_cohorts(plan(cohort), tmp_path)
    ids = dict(zip(source.table["image"], source.table["patient_id"], strict=True))
    assert ids["PNEUMONIA/person7_bacteria_1.png"] == ids["PNEUMONIA/person7_virus_2.png"] != ids["NORMAL/IM-1-0001.png"]
    assert ids["PNEUMONIA/unnamed.png"] == ""
    assert source.notes == ["default: 1 image of 4 have no patient id"]


@pytest.mark.parametrize("folder", [".", "./sub"])
def test_ids_come_from_folders(tmp_path: Path, plan: Callable[..., Any], touch: Callable[..., None], folder: str) -> None:
    touch(*(f"{folder}/{name}" for name in ("NORMAL/patient7/1.png", "NORMAL/patient8/1.png", "PNA/patient7/x/2.png", "PNA/3.png")))
    patient = {"from": "path", "pattern": "^[^/]+/([^/]+)/"}
    source = read_cohorts(plan({"name": "folders", "folder": folder, "patient": patient}), tmp_path)
    below = source.table["image"].str.removeprefix("sub/")
    ids = dict(zip(below, source.table["patient_id"], strict=True))
    assert ids["NORMAL/patient7/1.png"] == ids["PNA/patient7/x/2.png"] != ids["NORMAL/patient8/1.png"] != ""
    assert ids["PNA/3.png"] == ""


def test_where_ids_come_from_is_said_in_full(plan: Callable[..., Any]) -> None:
    with pytest.raises(ValidationError, match="`pattern` belongs to `from: filename` and `from: path`"):
        plan({"name": "folders", "patient": {"from": "path"}})


@pytest.mark.parametrize("folder", ["absent", "../elsewhere"])
def test_a_folder_that_is_not_there_is_refused(tmp_path: Path, plan: Callable[..., Any], folder: str) -> None:
    assert "folder" in mistakes(plan({"name": "folders", "folder": folder}), tmp_path)


def test_a_pattern_that_is_none_is_refused_with_the_settings(plan: Callable[..., Any]) -> None:
    with pytest.raises(ValidationError, match="is no regular expression"):
        plan({"name": "folders", "patient": {"from": "filename", "pattern": "(person"}})


# Tables


def table(folder: Path, *lines: str) -> None:
    (folder / "t.csv").write_text("\n".join(lines) + "\n")


CSV = {"name": "csv", "table": "t.csv"}


def test_csv_finds_images_beside_the_table(tmp_path: Path, plan: Callable[..., Any], touch: Callable[..., None]) -> None:
    touch("site/i/1.png", "site/i/2.png")
    (tmp_path / "site/t.csv").write_text("image;label;age\ni\\1.png;NORMAL;61\n./i/2.png;PNA;\n")
    source = read_cohorts(plan({**CSV, "table": "site/t.csv"}, keep=["age"]), tmp_path)
    expected = [["site/i/1.png", "normal", "61"], ["site/i/2.png", "pneumonia", ""]]
    assert source.table[["image", "label", "age"]].to_numpy().tolist() == expected
    again = read_cohorts(plan({**CSV, "folder": "site"}, keep=["age"]), tmp_path)
    assert again.table["image"].tolist() == source.table["image"].tolist()


@pytest.mark.parametrize("settings", [{"image": "path"}, {"image": "name", "find": "name"}])
@pytest.mark.parametrize(("on_disk", "in_table"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_letters_with_marks_are_the_same_however_they_are_kept(
    tmp_path: Path, plan: Callable[..., Any], touch: Callable[..., None], settings: dict[str, str], on_disk: Any, in_table: Any
) -> None:
    names = [unicodedata.normalize(on_disk, name) for name in ("Hüfte/Müller 1.png", "Hüfte/2.png")]
    touch(*names)
    written = [unicodedata.normalize(in_table, name) for name in names]
    table(tmp_path, "path,name,label", *(f"{written[n]},{Path(written[n]).stem},{('NORMAL', 'PNA')[n]}" for n in range(2)))
    source = read_cohorts(plan({**CSV, **settings}), tmp_path)
    assert source.table["image"].tolist() == names


def test_csv_builds_paths_and_keeps_ids_as_strings(tmp_path: Path, plan: Callable[..., Any], touch: Callable[..., None]) -> None:
    touch("i/007.jpg", "i/7.jpg")
    table(tmp_path, "id,label,who", "007,NORMAL,007", "7,PNEUMONIA,7")
    for how in ({"template": "i/{id}.jpg"}, {"image": "id", "suffix": ".jpg", "folder": "i", "table": "../t.csv"}):
        cohort = {**CSV, "image": "id", "patient": "who", **how}
        if "folder" in how:
            (tmp_path / "i/t.csv").write_text((tmp_path / "t.csv").read_text())
            cohort["table"] = "t.csv"
        source = read_cohorts(plan(cohort), tmp_path)
        assert source.table["image"].tolist() == ["i/007.jpg", "i/7.jpg"]
        assert source.table["patient_id"].nunique() == 2, "'007' and '7' are two patients"


def test_rows_without_images_and_images_without_rows_are_refused_together(
    tmp_path: Path, plan: Callable[..., Any], touch: Callable[..., None]
) -> None:
    touch("i/1.png", "i/2.png", "i/9.png")
    table(tmp_path, "image,label", "i/1.png,NORMAL", "i/2.png,PNA", "i/3.png,PNA", ",PNA")
    message = mistakes(plan(CSV), tmp_path)
    assert "2 rows without an image (2 of 4 rows have their image): line 4 (i/3.png), line 5 (no image)" in message
    assert "1 image without a row in the table: i/9.png" in message
    source = read_cohorts(plan({**CSV, "missing": "exclude", "unlisted": "exclude"}), tmp_path)
    assert len(source.table) == 2
    assert source.notes == ["default: 2 rows of 4 without an image left out", "default: 1 image without a row in the table left out"]


def test_a_missing_suffix_is_recognised(tmp_path: Path, plan: Callable[..., Any], touch: Callable[..., None]) -> None:
    touch("i/1.png", "i/2.png")
    table(tmp_path, "image,label", "i/1,NORMAL", "i/2,PNA")
    assert "2 would with suffix: .png" in mistakes(plan(CSV), tmp_path)


def test_images_are_found_by_name_anywhere(tmp_path: Path, plan: Callable[..., Any], touch: Callable[..., None]) -> None:
    touch("part_1/007.jpg", "part_2/deep/8.png", "part_2/9.png")
    table(tmp_path, "id,label", "007,NORMAL", "8.png,PNA", "9,PNA")
    cohort = {**CSV, "image": "id", "find": "name"}
    assert read_cohorts(plan(cohort), tmp_path).table["image"].tolist() == ["part_1/007.jpg", "part_2/deep/8.png", "part_2/9.png"]
    touch("part_1/9.png", "part_1/10.png")
    assert "1 name stand for several files below '.': 9" in mistakes(plan(cohort), tmp_path)
    (tmp_path / "part_1/9.png").unlink()
    assert "1 image without a row in the table: part_1/10.png" in mistakes(plan(cohort), tmp_path)


def test_paths_out_of_the_root_are_refused(tmp_path: Path, plan: Callable[..., Any], touch: Callable[..., None]) -> None:
    touch("in/1.png", "secret.png")
    (tmp_path / "in/t.csv").write_text("image,label\n1.png,NORMAL\n../secret.png,PNA\n")
    assert "1 row lead out of the data root: line 3" in mistakes(plan(CSV), tmp_path / "in")
    by_name = {**CSV, "patient": {"from": "filename", "pattern": "(.)"}}
    assert "1 row lead out of the data root: line 3" in mistakes(plan(by_name), tmp_path / "in")


def test_every_wrong_column_is_told_at_once(tmp_path: Path, plan: Callable[..., Any], touch: Callable[..., None]) -> None:
    table(tmp_path, "file,finding", "1.png,NORMAL")
    message = mistakes(plan({**CSV, "image": "fil", "label": "findings", "view": "v"}), tmp_path)
    assert "no column 'fil'; did you mean 'file'?; columns: file, finding" in message
    assert "no column 'findings'; did you mean 'finding'?" in message
    assert "no column 'v'" in message


def test_unknown_labels_are_listed_and_whole_numbers_match(tmp_path: Path, plan: Callable[..., Any], touch: Callable[..., None]) -> None:
    touch(*(f"{n}.png" for n in range(5)))
    table(tmp_path, "image,label", "0.png,0.0", "1.png,1", "2.png,-1.0", "3.png,", "4.png,2")
    numbers = {"no": [0], "yes": [1]}
    assert "1 row with the label '2', which is no spelling of a class" in mistakes(plan(CSV, classes=numbers), tmp_path)
    cohort = {**CSV, "uncertain": [-1, 2]}
    source = read_cohorts(plan(cohort, classes=numbers), tmp_path)
    assert source.table["label"].tolist() == ["no", "yes", "", "", ""]
    assert source.notes == ["default: 3 images without a label: kept in records, not trained on"]


def test_several_rows_of_one_image(tmp_path: Path, plan: Callable[..., Any], touch: Callable[..., None]) -> None:
    touch("1.png", "2.png")
    table(tmp_path, "image,label,box", "1.png,NORMAL,a", "2.png,PNA,b", "2.png,PNA,c")
    assert "2 rows name an image again: line 3 (2.png), line 4 (2.png)" in mistakes(plan(CSV), tmp_path)
    source = read_cohorts(plan({**CSV, "rows": "all"}), tmp_path)
    assert source.table["label"].tolist() == ["normal", "pneumonia"]
    table(tmp_path, "image,label,box", "1.png,NORMAL,a", "2.png,PNA,b", "2.png,NORMAL,c")
    for rows in ("refuse", "all"):
        assert "2 rows of one image disagree in label: line 3" in mistakes(plan({**CSV, "rows": rows}), tmp_path)
    table(tmp_path, "image,label", "1.png,NORMAL", "2.png,PNA", "2.png,PNA", "2.png,NORMAL", "2.png,NORMAL")  # two readers each way
    assert "4 rows of one image disagree in label: line 3" in mistakes(plan({**CSV, "rows": "all"}), tmp_path)


def test_rows_of_one_image_in_two_given_splits_are_refused(tmp_path: Path, plan: Callable[..., Any], touch: Callable[..., None]) -> None:
    touch("1.png", "2.png")
    table(tmp_path, "image,label,split,age", "1.png,NORMAL,train,3", "2.png,PNA,train,4", "2.png,PNA,test,5")
    refused = mistakes(plan({**CSV, "rows": "all"}, keep=["age"], column="split"), tmp_path)
    assert "2 rows of one image disagree in age, split: line 3 (2.png), line 4 (2.png)" in refused


def test_several_images_of_one_study(tmp_path: Path, plan: Callable[..., Any], touch: Callable[..., None]) -> None:
    touch("1.png", "2.png", "3.png", "4.png")
    table(
        tmp_path, "image,label,study_id,v", "1.png,NORMAL,s1,PA", "2.png,NORMAL,s1,LL", "3.png,PNA,s2,ap", "4.png,PNA,,LL"
    )  # a study without id is none
    assert "1 study has several images: line 2 (1.png), line 3 (2.png)" in mistakes(plan(CSV), tmp_path)
    assert "`view:`" in mistakes(plan({**CSV, "rows": "frontal"}), tmp_path)
    frontal = read_cohorts(plan({**CSV, "rows": "frontal", "view": "v"}), tmp_path)
    assert frontal.table["image"].tolist() == ["1.png", "3.png"]
    assert "default: 2 images that are not frontal left out" in frontal.notes
    assert len(read_cohorts(plan({**CSV, "rows": "all"}), tmp_path).table) == 4


# MedMNIST


def test_a_column_names_frames_slices_and_rows_of_arrays(tmp_path: Path, plan: Callable[..., Any], touch: Callable[..., None]) -> None:
    touch("cine.dcm", "set.npz")
    rows = ["cine.dcm,3,NORMAL", "cine.dcm,,PNA", "set.npz/train_images,12.0,PNA", "cine.dcm,3,NORMAL", "cine.dcm/0,,PNA"]
    table(tmp_path, "image,frame,label", *rows)
    found = read_cohorts(plan({**CSV, "frame": "frame", "rows": "all"}), tmp_path)
    assert found.table[["image", "frame", "label"]].to_numpy().tolist() == [
        ["cine.dcm", 3, "normal"],
        ["cine.dcm", 0, "pneumonia"],
        ["set.npz/train_images", 12, "pneumonia"],
        ["cine.dcm/0", 0, "pneumonia"],
    ]
    table(tmp_path, "image,frame,label", "cine.dcm,-1,NORMAL", "cine.dcm,1.5,PNA", "cine.dcm,2,PNA")
    told = mistakes(plan({**CSV, "frame": "frame"}), tmp_path)
    assert "2 rows with no whole number in 'frame': line 2 (cine.dcm), line 3 (cine.dcm), such as '-1'" in told
    assert "frame" in mistakes(plan({**CSV, "frame": "slice"}), tmp_path)


def test_slices_are_those_that_were_named_and_stay_on_one_side(tmp_path: Path, plan: Callable[..., Any]) -> None:
    """Slice k of each volume is bright in k + 1 of five bands."""
    rows = []
    for number in range(6):
        volume = np.random.default_rng(number).integers(0, 9, (40, 40, 4)).astype(np.int16)
        for k in range(4):
            volume[: 8 * (k + 1), :, k] += 100
        nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), tmp_path / f"{number}.nii")
        rows += [f"{number}.nii/0,,NORMAL", f"{number}.nii,1,PNA", f"{number}.nii,3,PNA"]
    table(tmp_path, "image,frame,label", *rows)
    settings = plan({**CSV, "frame": "frame", "rows": "all"}, folds=3, by="image")
    source = read_cohorts(settings, tmp_path).table
    store = open_store(source[KEY], tmp_path, ImageSettings(size=40, channels=1), tmp_path / "cache")
    bright = (store.read(np.arange(len(source))) > 128).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(bright, (source["frame"] + 1) / 5)
    made = make_records(source, store.measurements, settings, tmp_path, as_given=True)
    assert made.groupby(made["image"].str[0])["fold"].nunique().tolist() == [1] * 6


def archive(path: Path, **arrays: Any) -> None:
    np.savez(path, **arrays)


PIXELS, LABELS = np.zeros((3, 4, 4), np.uint8), np.array([[0], [1], [1]])
NPZ = {"name": "medmnist", "file": "set.npz"}
NUMBERS = {"no": [0], "yes": [1]}


def test_medmnist_parts_become_splits(tmp_path: Path, plan: Callable[..., Any]) -> None:
    archive(tmp_path / "set.npz", train_images=PIXELS, train_labels=LABELS, val_images=PIXELS, val_labels=LABELS)
    source = read_cohorts(plan(NPZ, classes=NUMBERS, column="split"), tmp_path)
    assert source.table[["image", "frame", "label", "given_split"]].to_numpy().tolist() == [
        [f"set.npz/{part}_images", frame, label, split]
        for part, split in (("train", "train"), ("val", "validation"))
        for frame, label in enumerate(["no", "yes", "yes"])
    ]
    only = read_cohorts(plan({**NPZ, "parts": {"val": "test"}}, classes=NUMBERS, column="split"), tmp_path)
    assert set(only.table["given_split"]) == {"test"}
    assert only.notes == ["default: parts left out: train"]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": PIXELS}, "no arrays PART_images and PART_labels, such as train_images, train_labels; it holds: images"),
        ({"train_images": PIXELS, "train_labels": LABELS[:2]}, "holds 3 images but train_labels 2 labels"),
        ({"train_images": PIXELS, "train_labels": np.zeros((3, 14))}, r"shape (3, 14) of float64"),
        ({"train_images": PIXELS, "train_labels": np.array([[0], [None], [1]])}, "without pickles"),
    ],
)
def test_medmnist_arrays_that_do_not_fit_are_refused(tmp_path: Path, plan: Callable[..., Any], arrays: Any, message: str) -> None:
    archive(tmp_path / "set.npz", **arrays)
    assert message in mistakes(plan(NPZ, classes=NUMBERS), tmp_path)


def test_medmnist_refuses_unknown_parts_and_broken_files(tmp_path: Path, plan: Callable[..., Any]) -> None:
    archive(tmp_path / "set.npz", train_images=PIXELS, train_labels=LABELS)
    assert "no part trian; did you mean 'train'?" in mistakes(plan({**NPZ, "parts": {"trian": "train"}}, classes=NUMBERS), tmp_path)
    (tmp_path / "set.npz").write_bytes(b"PK\x03\x04 torn")
    assert "cannot be read" in mistakes(plan(NPZ, classes=NUMBERS), tmp_path)
