"""The set on disk: the same bytes from the same settings, whole or absent, truth beside it, faults really in the files."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import medtl
from medtl.errors import ImageError, MedtlError
from medtl.phantom import making
from medtl.phantom.making import folder_name, materialise
from medtl.phantom.settings import PhantomSettings
from medtl.phantom.truth import finding_mask, read_truth


def settings(kind: str, **changed: Any) -> PhantomSettings:
    return PhantomSettings(kind=kind, **{"patients": 8, "size": 64} | changed)


def content(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("kind", ["chest", "lesions"])
@pytest.mark.parametrize("hospital", ["a", "b"])
def test_same_settings_same_bytes(kind: str, hospital: str, tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    chosen = settings(kind, hospital=hospital)
    once, again = content(materialise(chosen, tmp_path)), content(materialise(chosen, tmp_path / "again"))
    assert once == again
    other = content(materialise(settings(kind, hospital=hospital, seed=1), tmp_path))
    assert not set(once.values()) & set(other.values())
    assert len(set(once.values())) == len(once)


def test_a_set_is_made_once_and_by_several_at_the_same_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadPoolExecutor(4) as pool:
        folders = list(pool.map(lambda _: materialise(settings("lesions"), tmp_path), range(4)))
    assert {path.name for path in tmp_path.iterdir()} == {folders[0].name}, "nothing is left beside it"
    monkeypatch.setattr(making, "make", lambda *_: pytest.fail("made again"))
    assert materialise(settings("lesions"), tmp_path) == folders[0]


def test_what_is_interrupted_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(making, "_manifest_row", stopped)
    with pytest.raises(KeyboardInterrupt):
        materialise(settings("chest"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_root_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(MedtlError, match=r"the made images cannot be written below .*--data"):
        materialise(settings("chest"), tmp_path / "absent")


def test_folders_are_named_after_settings() -> None:
    names = {folder_name(settings("chest", **changed)) for changed in ({}, {"seed": 1}, {"contrast": 0.5}, {"faults": {"broken": 0.1}})}
    assert len(names) == 4
    assert all(name.startswith("phantom-chest-") for name in names)


def test_the_folder_says_synthetic_and_is_a_standard_manifest(tmp_path: Path) -> None:
    folder = materialise(settings("chest"), tmp_path)
    assert "no patient" in (folder / "README.md").read_text()
    manifest = pd.read_csv(folder / "manifest.csv", dtype=str)
    assert {"image", "label", "patient_id", "domain", "split", "age", "sex", "view"} <= set(manifest.columns)
    assert set(manifest["domain"]) == {"synthetic-a"}
    assert sorted(manifest["image"]) == sorted(f"images/{path.name}" for path in (folder / "images").iterdir())


def test_truth_says_where_findings_are(tmp_path: Path) -> None:
    folder = materialise(settings("chest", patients=20), tmp_path)
    truth = read_truth(folder)
    sick = truth[truth["truth"] == "pneumonia"]
    assert (sick["finding"] == "opacity").all()
    assert truth.loc[truth["truth"] == "normal", "x"].isna().all()
    assert sick["strength"].between(0.5, 1).all()
    for image, rows in sick.groupby("image"):
        mask = finding_mask(rows)
        assert mask.shape == medtl.read_image(folder / image).pixels.shape[1:]
        y, x = np.nonzero(mask)
        assert rows["left"].min() == pytest.approx(x.min(), abs=1)
        assert rows["bottom"].max() == pytest.approx(y.max(), abs=1)
    assert not finding_mask(truth[truth["truth"] == "normal"].head(1)).any()
    with pytest.raises(MedtlError, match="is no folder of a phantom"):
        read_truth(tmp_path)


def test_truth_of_lesions_has_what_drives_the_label(tmp_path: Path) -> None:
    truth = read_truth(materialise(settings("lesions", patients=20), tmp_path))
    assert (truth["finding"] == "lesion").all()
    assert truth[["asymmetry", "border", "variegation", "a", "b"]].notna().all(axis=None)
    assert truth["lesion_id"].ne("").all()


@pytest.mark.parametrize("kind", ["chest", "lesions"])
def test_planted_faults_are_in_the_files_and_in_the_truth(kind: str, tmp_path: Path) -> None:
    faults = {"duplicates": 0.15, "broken": 0.15, "wrong_labels": 0.2, "two_splits": 0.4, "marker": 1.0}
    folder = materialise(settings(kind, patients=30, faults=faults), tmp_path)
    truth = read_truth(folder).drop_duplicates("image").set_index("image")
    hashes = content(folder)
    copies = truth["faults"].str.extract(r"copy of ([^|]+)")[0].dropna()
    assert len(copies)
    assert all(hashes[image] == hashes[original] for image, original in copies.items())
    codes = {}
    for image, planted in truth["faults"].items():
        try:
            medtl.read_image(folder / str(image))
        except ImageError as refusal:
            codes[image] = (planted.split("|")[-1], refusal.code)
    assert set(codes) == {image for image, planted in truth["faults"].items() if "truncated" in planted or "no pixel data" in planted}
    assert ("no pixel data", "NO_PIXELS") in codes.values() if kind == "chest" else set(codes.values()) == {("truncated", "DECODE_FAILED")}
    assert (truth["faults"].str.contains("wrong label") == (truth["truth"] != truth["label"])).all()
    manifest = pd.read_csv(folder / "manifest.csv", dtype=str).set_index("image")
    torn = manifest[truth.loc[manifest.index, "faults"].str.contains("in two splits")]
    assert (torn.groupby("patient_id")["split"].agg(set) == {"train", "test"}).all()
    assert len(torn)
    assert (truth["marker"] == "yes").any()
