"""`medtl init`: its config is accepted unchanged, and its cohorts can be read."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from medtl.cohorts.joining import read_cohorts
from medtl.errors import MedtlError
from medtl.experiment.load import load_experiment
from medtl.flows.init import init


@pytest.fixture
def lesions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "my lesions"
    (folder / "images").mkdir(parents=True)
    lines = ["lesion_id;image_id;dx;age;patient_name"]
    for n in range(30):
        (folder / "images" / f"{n:03}.png").write_bytes(b"")
        lines.append(f"L{n // 2};{n:03};{('yes', 'no', 'a: b, c|d')[n % 3]};6{n % 10};Doe")
    (folder / "t.csv").write_text("\n".join(lines))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEDTL_KEY_FILE", str(tmp_path / "key"))
    return folder


def test_the_config_is_accepted_unchanged_and_reads_its_cohort(lesions: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = init(lesions)
    assert path == Path("my-lesions.yaml")
    experiment = load_experiment(path)
    assert experiment.task.classes == {"yes": ("yes",), "no": ("no",), "a: b c d": ("a: b, c|d",)}
    assert (experiment.split.by, experiment.keep) == ("lesion", ("age",))
    assert len(read_cohorts(experiment, lesions).table) == 30
    assert "30 of 30 rows matched: 'image_id' by file name" in capsys.readouterr().out
    assert "Doe" not in path.read_text()


def test_a_table_elsewhere_moves_the_root_above_both(lesions: Path, tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    shutil.move(lesions / "t.csv", tmp_path / "tables" / "labels.csv")
    path = init(lesions, tmp_path / "tables" / "labels.csv", tmp_path / "c.yaml")
    assert len(read_cohorts(load_experiment(path), tmp_path).table) == 30


def test_class_folders_with_awkward_names(tmp_path: Path) -> None:
    for name in ("no", "0007", "#2: x"):
        (tmp_path / "d" / name).mkdir(parents=True)
        (tmp_path / "d" / name / "1.png").write_bytes(b"")
    experiment = load_experiment(init(tmp_path / "d", out=tmp_path / "c.yaml"))
    assert set(experiment.task.classes) == {"no", "0007", "#2: x"}
    assert (experiment.split.by, experiment.split.near_duplicates) == ("image", "together")
    assert len(read_cohorts(experiment, tmp_path / "d").table) == 3


def test_a_split_given_by_folders_is_taken(tmp_path: Path) -> None:
    names = [f"{part}/{label}" for part in ("train", "val", "test") for label in ("NORMAL", "PNEUMONIA")]
    for name in names:
        (tmp_path / "xray" / name).mkdir(parents=True)
        (tmp_path / "xray" / name / "1.png").write_bytes(b"")
    experiment = load_experiment(init(tmp_path / "xray", out=tmp_path / "c.yaml"))
    assert (experiment.task.positive, experiment.split.column) == ("PNEUMONIA", "split")
    table = read_cohorts(experiment, tmp_path / "xray").table.set_index("image")
    expected = {f"{name}/1.png": (name.split("/")[1], name.split("/")[0].replace("val", "validation")) for name in names}
    assert {image: (row.label, row.given_split) for image, row in table.iterrows()} == expected


def test_patients_of_subfolders_stay_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDTL_KEY_FILE", str(tmp_path / "key"))
    for n in range(4):
        place = tmp_path / "d" / ("train", "test")[n // 2] / "ab"[n % 2] / f"p{n}"
        place.mkdir(parents=True)
        for image in range(2):
            (place / f"{image}.png").write_bytes(b"")
    experiment = load_experiment(init(tmp_path / "d", out=tmp_path / "c.yaml"))
    assert read_cohorts(experiment, tmp_path / "d").table["patient_id"].nunique() == 4


def test_an_existing_file_is_never_overwritten(lesions: Path, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("mine")
    with pytest.raises(MedtlError, match="exists and is not overwritten"):
        init(lesions, out=tmp_path / "c.yaml")
    assert (tmp_path / "c.yaml").read_text() == "mine"


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(MedtlError, match="no such folder"):
        init(tmp_path / "gone")
    with pytest.raises(MedtlError, match="--table"):
        init(tmp_path, tmp_path / "gone.csv")
    assert os.listdir(tmp_path) == []
