"""A leaking split is refused before training, and trained on when the config names it."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from medtl.cohorts.joining import read_cohorts
from medtl.cohorts.splitting import make_records
from medtl.errors import GateRefusal, MedtlError, Mistakes
from medtl.experiment.schema import Experiment
from medtl.flows.check import check
from medtl.flows.leaks import refuse_leaking
from medtl.flows.near_duplicates import tie_near_duplicates
from medtl.flows.train import train
from medtl.imaging.cache import cache_dir
from medtl.imaging.store import open_store
from medtl.records import KEY
from medtl.terminal import Line
from medtl.training.log import Log

CONFIG = """
name: leaking
task: {{classes: {{normal: [normal], ill: [ill]}}}}
cohorts: [{{name: csv, table: table.csv, {ids}}}]
split: {{by: image, column: split}}
image: {{size: 64, channels: 1}}
backbone: {{name: test_resnet, weights: none}}
transfer: {{strategy: scratch, epochs: 1}}
"""


def clouds(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(96, 96)).astype(np.float32)
    shown = sum(cv2.GaussianBlur(noise, (0, 0), width) * width for width in (1.5, 4, 12))
    return (20 + 180 * (shown - shown.min()) / np.ptp(shown)).astype(np.uint8)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """40 images; patient p0 stands in train and test, and image 3 (of train) comes again in test, cropped and brighter."""
    rows = []
    for number in range(40):
        Image.fromarray(clouds(number)).save(tmp_path / f"{number}.png")
        split = ["train", "validation", "test"][number % 3]
        rows.append(f"{number}.png,{'ill' if number % 2 else 'normal'},{split},p{number // 4 if number < 4 else number},l{number}")
    copy = np.clip(clouds(3)[1:94, 2:95] * 1.15, 0, 255).astype(np.uint8)
    Image.fromarray(copy).save(tmp_path / "copy.jpg", quality=85)
    rows.append("copy.jpg,ill,test,p40,l40")
    (tmp_path / "table.csv").write_text("\n".join(["image,label,split,person,lesion", *rows]))
    return tmp_path


def experiment(data: Path, ids: str, allow: tuple[str, ...] = (), **split: object) -> Experiment:
    import yaml

    settings = yaml.safe_load(CONFIG.format(ids=ids))
    return Experiment.model_validate({**settings, "audit": {"allow": allow}, "split": split or settings["split"]})


def gate(data: Path, experiment: Experiment) -> tuple[pd.DataFrame, list[str]]:
    source = read_cohorts(experiment, data).table.sort_values(KEY, ignore_index=True)
    store = open_store(source[KEY], data, experiment.image, cache_dir())
    tied, notes = tie_near_duplicates(source, store, experiment, Line())
    rows = make_records(tied, store.measurements, experiment, data)
    refuse_leaking(experiment, rows, source, store, Line(), Log(data / "log.jsonl"))
    return rows, notes


def test_training_is_refused_and_leaves_nothing_behind(data: Path) -> None:
    (data / "leaking.yaml").write_text(CONFIG.format(ids="patient: person"))
    with pytest.raises(GateRefusal) as refusal:
        train(data / "leaking.yaml", out=data / "run")
    assert refusal.value.exit_code == 3
    said = str(refusal.value)
    assert "1 patient of 38 stands in several splits (4 images)" in said
    assert "1 pair of images in different splits is nearly the same picture" in said
    assert "audit: {allow: [PATIENT_ACROSS_SPLITS, NEAR_DUPLICATE_ACROSS_SPLITS]}" in said
    assert "p0" not in said
    assert not (data / "run").exists()
    with pytest.raises(GateRefusal) as foretold:
        check(data / "leaking.yaml")
    assert str(foretold.value) == said


def test_every_leak_must_be_named_and_stays_in_the_log(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(GateRefusal, match=r"allow: \[NEAR_DUPLICATE_ACROSS_SPLITS\]"):
        gate(data, experiment(data, "patient: person", ("PATIENT_ACROSS_SPLITS",)))
    gate(data, experiment(data, "patient: person", ("PATIENT_ACROSS_SPLITS", "NEAR_DUPLICATE_ACROSS_SPLITS")))
    logged = json.loads((data / "log.jsonl").read_text())
    assert (logged["event"], set(logged)) == (
        "leaks allowed",
        {"time", "cpu", "event", "PATIENT_ACROSS_SPLITS", "NEAR_DUPLICATE_ACROSS_SPLITS"},
    )
    assert "WARNING: 1 patient" in capsys.readouterr().err


def test_lesions_leak_though_records_do_not_hold_them(data: Path) -> None:
    table = (data / "table.csv").read_text().replace("p1,l1", "p1,l0").replace(",l1\n", ",l0\n")
    (data / "table.csv").write_text(table)
    with pytest.raises(GateRefusal, match=r"1 lesion of 40 stands in several splits \(2 images\).*\[LESION_ACROSS_SPLITS\]"):
        gate(data, experiment(data, "lesion: lesion"))


@pytest.mark.parametrize("by", ["patient", "image"])
def test_near_duplicates_stay_together_where_the_config_says_so(data: Path, by: str) -> None:
    """Whatever the seed; and nobody else is tied."""
    source = read_cohorts(experiment(data, "patient: person"), data).table
    store = open_store(source[KEY], data, experiment(data, "patient: person").image, cache_dir())
    apart = 0
    for seed in range(6):
        drawn = {"by": by, "folds": 3, "validation": 0.4, "seed": seed}
        rows, notes = gate(data, experiment(data, "patient: person", ("PATIENT_ACROSS_SPLITS",), **drawn, near_duplicates="together"))
        assert notes == ["split.near_duplicates ties 2 images, equal or nearly, into 1 group, the largest of 2"]
        one, other = (rows[rows["image"] == name].iloc[0] for name in ("3.png", "copy.jpg"))
        assert (one["group_id"], one["fold"]) == (other["group_id"], other["fold"])
        loose = make_records(source, store.measurements, experiment(data, "patient: person", **drawn), data)
        assert loose["group_id"].nunique() == rows["group_id"].nunique() + 1
        apart += loose[loose["image"].isin(["3.png", "copy.jpg"])]["fold"].nunique() == 2
    assert apart


def test_near_duplicates_in_a_fold_and_held_out_are_refused(data: Path) -> None:
    refused = 0
    for seed in range(30):
        drawn = {"by": "image", "folds": 2, "validation": 0.4, "held_out": 0.6, "seed": seed}
        given = experiment(data, "patient: person", ("PATIENT_ACROSS_SPLITS",), **drawn)
        source = read_cohorts(given, data).table.sort_values(KEY, ignore_index=True)
        store = open_store(source[KEY], data, given.image, cache_dir())
        try:
            rows = make_records(source, store.measurements, given, data).set_index("image")["split"]
        except Mistakes:  # a class has too few images for this seed
            continue
        if (rows["3.png"] == "calibration") != (rows["copy.jpg"] == "calibration"):
            refused += 1
            with pytest.raises(GateRefusal, match="NEAR_DUPLICATE_ACROSS_SPLITS"):
                gate(data, given)
    assert refused


def test_near_duplicates_torn_apart_by_a_given_split_are_refused(data: Path) -> None:
    with pytest.raises(MedtlError, match=r"copy\.jpg"):
        gate(data, experiment(data, "patient: person", column="split", near_duplicates="together"))
