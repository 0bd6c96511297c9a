"""`medtl shift`: a package remembers its source, another place is held against it, and no label is read."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from medtl.errors import MedtlError
from medtl.flows.evaluate import evaluate
from medtl.flows.shift import shift
from medtl.model import format as package_format
from medtl.shift import source


def write(path: Path, seed: int, scale: float = 1.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (36, 40)) * scale
    Image.fromarray(noise.astype(np.uint8)).save(path)


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory, run_on: Callable[[Path], Path]) -> Path:
    """A run on 150 patients, about 45 of them to validate, whose package remembers them."""
    place = tmp_path_factory.mktemp("source")
    for i in range(150):
        write(place / ("NORMAL" if i % 2 else "ILL") / f"p{i:03d}_0.png", i)
    run = run_on(place)
    found = shift(run)
    assert found.shift is None
    return run


def other_place(folder: Path, scale: float, count: int = 30, label: str = "no class at all") -> Path:
    for i in range(count):
        write(folder / "images" / f"{i}.png", 5000 + i, scale)
    with (folder / "manifest.csv").open("w", newline="") as file:
        rows = [["image", "label", "patient_id"], *([f"images/{i}.png", label, f"s{i}"] for i in range(count))]
        csv.writer(file).writerows(rows)
    return folder / "manifest.csv"


def test_the_same_kind_of_images_gives_no_alarm_and_other_images_do(ready, tmp_path, capsys):
    same = shift(ready, other_place(tmp_path / "same", 1.0), out=tmp_path / "out-same")
    assert same.shift is not None
    assert not same.shift.alarms
    assert "no alarm: not proof of safety" in capsys.readouterr().out
    dark = shift(ready / "model", other_place(tmp_path / "dark", 0.6), out=tmp_path / "out-dark")
    assert dark.shift is not None
    assert {"measured", "probe", "mmd"} <= {sign.name for sign in dark.shift.alarms}
    content = json.loads((tmp_path / "out-dark" / "shift.json").read_text())
    assert content["format"] == 1
    assert content["alarm"] is True
    assert content["prevalence"]["shown"] is False
    assert {each["shift"] for each in content["known_shifts"]} >= {"blur", "border-only", "noise-5"}
    assert {"brightness", "contrast"} <= {column["name"] for column in content["columns"] if column["stands_out"]}
    page = (tmp_path / "out-dark" / "shift.html").read_text()
    assert "Alarm: what was measured of the images" in page
    assert "No label of the target was read" in page


def test_with_labels_the_truth_stands_beside_what_was_said_without(ready, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("MEDTL_STATE", str(tmp_path / "state"))
    manifest = other_place(tmp_path / "dark", 0.6, label="ILL")
    done = evaluate(ready, manifest, out=tmp_path / "out")
    content = json.loads((tmp_path / "out" / "shift.json").read_text())
    assert content["alarm"] is True
    assert content["truth"]["accuracy"] == done.metrics["accuracy"]["value"]
    assert content["truth"]["shares"] == {"normal": 0.0, "ill": 1.0}
    blind = shift(ready, manifest, out=tmp_path / "blind")
    assert blind.shift is not None
    assert {sign["name"] for sign in content["signs"] if sign["alarm"]} == {sign.name for sign in blind.shift.alarms}
    said = capfd.readouterr().err
    assert "Without these labels it would have been said: alarm" in said
    (ready / "model" / source.FILE).rename(tmp_path / "away")
    evaluate(ready, manifest, out=tmp_path / "again")
    (tmp_path / "away").rename(ready / "model" / source.FILE)
    assert not (tmp_path / "again" / "shift.json").exists()


def test_what_a_package_remembers_names_nobody_and_no_file(ready):
    path = ready / "model" / source.FILE
    content = path.read_bytes()
    assert b"NORMAL" not in content
    assert b"p001" not in content
    fingerprint = package_format.read(ready / "model").fingerprint
    kept = source.read(ready / "model", fingerprint)
    assert kept is not None
    assert kept.unit == "patient"
    assert kept.sample.truth is not None
    assert not (np.diff(kept.sample.groups) >= 0).all()
    records = pd.read_csv(ready / "records.csv")
    assert len(kept.sample) == (records["split"] == "validation").sum()
    with pytest.raises(MedtlError, match="belongs to another model"):
        source.read(ready / "model", "0" * 64)


def test_mistakes_are_said(ready, tmp_path, make_run):
    package = shutil.copytree(ready / "model", tmp_path / "bare")
    (package / source.FILE).unlink()
    manifest = other_place(tmp_path / "few", 1.0, count=5)
    with pytest.raises(MedtlError, match="remembers nothing of its source"):
        shift(package, manifest)
    with pytest.raises(MedtlError, match="5 patients there"):
        shift(ready, manifest, out=tmp_path / "out")
    with pytest.raises(MedtlError, match="is a folder"):
        shift(ready, manifest.parent, column={"image": "file"}, out=tmp_path / "out")
    with pytest.raises(MedtlError, match="run over folds"):
        shift(make_run("folds", folds=2))
    (ready_copy := shutil.copytree(ready / "model", tmp_path / "cut")).joinpath(source.FILE).write_bytes(b"cut")
    with pytest.raises(MedtlError, match="cut or damaged"):
        shift(ready_copy, manifest)
