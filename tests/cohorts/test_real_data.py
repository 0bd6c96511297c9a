"""The real sets beside the repository: counts as their README and the literature give them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medtl.cohorts.headers import read_facts
from medtl.cohorts.joining import read_cohorts
from medtl.cohorts.splitting import make_records

DIAGNOSES = {name: [name] for name in ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")}


def by_bytes(table: pd.DataFrame, root: Path) -> pd.DataFrame:
    """Measurements that take the file's bytes for its pixels."""
    arrays: dict[str, Any] = {}

    def digest(image: str, frame: int) -> str:
        if ".npz/" not in image:
            return hashlib.sha256((root / image).read_bytes()).hexdigest()
        file, name = image.rsplit("/", 1)
        if image not in arrays:
            with np.load(root / file) as content:
                arrays[image] = content[name]
        return hashlib.sha256(arrays[image][frame].tobytes()).hexdigest()

    digests = [digest(image, frame) for image, frame in zip(table["image"], table["frame"], strict=True)]
    return table[["image", "frame"]].assign(sha256=digests, pixel_hash=digests, quarantine="")


def test_chest_x_rays_of_children(data: Path, plan: Callable[..., Any]) -> None:
    cohort = {"name": "folders", "domain": "children", "patient": {"from": "filename", "pattern": r"(person\d+|IM-\d+)"}}
    root = data / "cxr_pediatric"
    source = read_cohorts(plan(cohort), root)
    assert source.table["label"].value_counts().to_dict() == {"pneumonia": 3875, "normal": 1341}
    assert (source.table["patient_id"] != "").all()
    assert source.notes == []
    assert source.table.loc[source.table["label"] == "pneumonia", "patient_id"].nunique() == 1635


def test_lesions(data: Path, plan: Callable[..., Any]) -> None:
    cohort = {"name": "csv", "table": "HAM10000_metadata.csv", "template": "images/{image_id}.jpg", "label": "dx"}
    root = data / "skin_lesions"
    experiment = plan(cohort, classes=DIAGNOSES, keep=["age", "sex"], by="lesion")
    source = read_cohorts(experiment, root)
    assert len(source.table) == 3129
    assert source.table["label"].nunique() == 7
    made = make_records(source.table, by_bytes(source.table, root), experiment, root)
    lesions = pd.read_csv(root / "HAM10000_metadata.csv")
    assert made["group_id"].nunique() <= lesions["lesion_id"].nunique()
    assert set(made["group_kind"]) == {"lesion"}
    split = made.set_index(made["image"].str[7:-4])["split"]
    assert (split[lesions["image_id"]].groupby(lesions["lesion_id"].to_numpy()).nunique() == 1).all()


def test_adults(data: Path, plan: Callable[..., Any]) -> None:
    cohort = {"name": "csv", "table": "index.csv", "image": "file", "label": "finding", "patient": "patient_id"}
    source = read_cohorts(plan(cohort, classes={"no": ["No_findings"], "pneumonia": ["Pneumonia"]}), data / "cxr_adult")
    assert len(source.table) == 489


def test_one_ultrasound_picture_in_both_classes_is_one_group(data: Path, plan: Callable[..., Any]) -> None:
    root = data / "breast_ultrasound"
    experiment = plan({"name": "folders"}, classes={"benign": [], "malignant": []}, ignore=["normal"], folds=5)
    source = read_cohorts(experiment, root)
    assert source.notes == ["default: 92 images of the ignored label 'normal' left out"]
    made = make_records(source.table, by_bytes(source.table, root), experiment, root).set_index("image")
    one, other = made.loc["benign/benign (433).png"], made.loc["malignant/malignant (145).png"]
    assert (one["group_id"], one["fold"]) == (other["group_id"], other["fold"])


def test_pneumoniamnist_repeats_leave_training(data: Path, plan: Callable[..., Any]) -> None:
    root = data / "pneumoniamnist"
    cohort = {"name": "medmnist", "file": "pneumoniamnist.npz", "parts": {"train": "train", "val": "test"}}
    experiment = plan(cohort, classes={"normal": [0], "pneumonia": [1]}, column="split", overlap="exclude")
    source = read_cohorts(experiment, root)
    assert source.table["image"].value_counts().to_dict() == {"pneumoniamnist.npz/train_images": 4708, "pneumoniamnist.npz/val_images": 524}
    made = make_records(source.table, by_bytes(source.table, root), experiment, root)
    assert (made["split"] == "test").sum() == 524
    tested = set(made.loc[made["split"] == "test", "sha256"])
    assert len(tested & set(made.loc[made["split"] == "excluded", "sha256"])) == 8, "8 images stand in both parts"
    assert not tested & set(made.loc[made["split"].isin(["train", "validation"]), "sha256"])


def test_real_dicom_headers(data: Path) -> None:
    files = [path for path in (data / "dicom").rglob("*") if path.is_file()]
    facts = {path.name: read_facts(path) for path in files}
    assert len(files) == 40
    assert sum(fact is not None for fact in facts.values()) >= 38
    chest = facts["0_ORIGINAL_no_pixels.dcm"]
    assert chest is not None
    assert (chest["age"], chest["modality"]) == ("37", "CR")
