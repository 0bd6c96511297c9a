"""`medtl check` on made pictures: what it counts, measures and shows, and that it trains and leaves nothing."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from medtl.errors import MedtlError
from medtl.experiment.load import load_experiment
from medtl.flows import check as check_file
from medtl.flows.check import Check, check
from medtl.flows.contact_sheet import CAPTION, COLUMNS, TILE, write_contact_sheet
from medtl.flows.rehearsal import Rehearsal, cost, methods_of
from medtl.training.made_outliers import KINDS

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "configs" / "smoke.yaml"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = importlib.util.spec_from_file_location("made_pictures", ROOT / "tools" / "made_pictures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder = tmp_path_factory.mktemp("pictures")
    module.make_pictures(folder, 50)
    (folder / "disc" / "broken.png").write_bytes(b"no picture")
    return folder


def looked_at(pictures: Path, *overrides: str, out: Path | None = None) -> Check:
    """One thread, which other programs on this machine disturb least."""
    return check(CONFIG, pictures, overrides=["trainer.threads=1", *overrides], out=out)


@pytest.fixture(scope="module")
def found(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Check:
    folder = tmp_path_factory.mktemp("out")
    found = looked_at(pictures, out=folder / "batch.png")
    assert cv2.imread(str(folder / "batch.png")).shape == (2 * (TILE + CAPTION), COLUMNS * TILE, 3)
    assert [path.name for path in folder.iterdir()] == ["batch.png"]
    return found


def test_images_are_counted_and_the_first_batch_is_shown(found: Check) -> None:
    assert found.exact
    assert len(found.records) == 101
    assert found.quarantined["image"].tolist() == ["disc/broken.png"]
    assert found.rehearsal.images.shape == (16, 64, 64, 3)
    assert found.rehearsal.images.dtype == np.uint8
    assert set(found.rehearsal.targets) == {0, 1}


def test_time_and_room_are_measured(found: Check) -> None:
    assert found.rehearsal.step_seconds > 0
    assert found.rehearsal.forward_seconds > 0
    assert found.cost.store_bytes == 101 * 64 * 64 * 3
    assert 0 < found.cost.minutes < 5
    assert found.decode_minutes == 0


def test_what_is_found_is_said(found: Check) -> None:
    text = str(found)
    assert "settings     right: smoke; 2 classes, mobilenetv3_small_050 (weights: none), scratch, 1 epochs, batches of 16\n" in text
    assert "images       101 images of 101 groups (by image)\n" in text
    assert "train  validation  test" in text
    assert "quarantine   1: " in text
    for heading in ("device", "time", "memory", "disk", "first batch"):
        assert f"\n{heading} " in text


def test_the_batch_is_the_same_every_time(pictures: Path, found: Check) -> None:
    np.testing.assert_array_equal(found.rehearsal.images, looked_at(pictures).rehearsal.images)


def test_a_large_cohort_is_sampled(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_file, "SAMPLE", 32)
    monkeypatch.setattr(check_file, "PATIENCE", 0.0)
    sampled = looked_at(pictures, "image.size=48")  # another size: nothing is decoded yet
    assert not sampled.exact
    assert len(sampled.records) == 101
    assert sampled.decode_minutes > 0
    assert "of the sample that was read; training reads all" in str(sampled)
    again = looked_at(pictures, "image.size=48")
    assert not again.exact, "that the sample is known says nothing about the rest"


def test_the_machine_that_is_asked_for_must_be_there(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(MedtlError, match=r"trainer\.device: cuda is asked for, but "):
        check(CONFIG, pictures, overrides=["trainer.device=cuda"])


def test_a_batch_is_written_as_png_only(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(MedtlError, match=r"give a name that ends in \.png"):
        check(CONFIG, pictures, out=tmp_path / "batch.jpg")


def test_candidates_of_an_adaptation_cost_a_training_each() -> None:
    """One that is adapted shows two batches in each step; all else is as without."""
    cohorts = "cohorts=[{name: folders, domain: here}, {name: folders, domain: there, labels: hidden}]"
    plain = load_experiment(CONFIG, ["transfer.epochs=10", cohorts])
    beside = load_experiment(CONFIG, ["transfer.epochs=10", cohorts, "adaptation={name: coral, target: {domain: there}, beside: [mcc]}"])
    assert methods_of(plain) == ()
    assert methods_of(beside) == ("coral", "mcc")
    rehearsed = Rehearsal(2.0, 0.1, 0, 1000, np.zeros((1, 2, 2, 3), np.uint8), np.zeros(1, np.int64))
    alone, three = (cost(each, rehearsed, train=64, validation=20, images=100) for each in (plain, beside))
    assert three.minutes == pytest.approx(3 * alone.minutes + 2 * 10 * alone.epoch_seconds / 60)
    assert three.run_bytes == 4 * alone.run_bytes


def test_the_cost_adds_up() -> None:
    experiment = load_experiment(CONFIG, ["transfer.epochs=10"])
    rehearsed = Rehearsal(2.0, 0.1, 0, 1000, np.zeros((1, 2, 2, 3), np.uint8), np.zeros(1, np.int64))
    spent = cost(experiment, rehearsed, train=64, validation=20, images=100)
    # 4 steps of 2 s and 20 images of 0.1 s an epoch, ten epochs, the validation images once more; and the gate
    gate = 0.1 * (64 + 20 + 20 * len(KINDS))
    assert spent.epoch_seconds == pytest.approx(10.0)
    assert spent.minutes == pytest.approx((10 * 10 + 2 + gate) / 60)
    ungated = load_experiment(CONFIG, ["transfer.epochs=10", "decision.gate=none"])
    assert cost(ungated, rehearsed, train=64, validation=20, images=100).minutes == pytest.approx((10 * 10 + 2) / 60)
    probed = load_experiment(
        CONFIG, ["transfer.epochs=10", "decision.gate=none", "transfer.strategy=lp-ft", "transfer.members=2", "backbone.weights=imagenet"]
    )
    # the probe's features, and its answers as the first candidate; all of it twice
    assert cost(probed, rehearsed, train=64, validation=20, images=100).minutes == pytest.approx(2 * (10 * 10 + 2 + 8.4 + 2) / 60)
    # the norms' own statistics, and the features once more
    normed = cost(probed, replace(rehearsed, norms=True), train=64, validation=20, images=100)
    assert normed.minutes == pytest.approx(2 * (10 * 10 + 2 + 2 * 8.4 + 6.4 + 2) / 60)
    assert normed.run_bytes == 3 * (8 + 2) * 1000
    still = probed.model_copy(update={"transfer": probed.transfer.model_copy(update={"batch_norm": "affine"})})
    assert cost(still, replace(rehearsed, norms=True), train=64, validation=20, images=100).minutes == pytest.approx(
        cost(probed, rehearsed, train=64, validation=20, images=100).minutes
    )
    assert spent.probe_minutes == 0
    assert spent.run_bytes == 8 * 1000
    mirrored = load_experiment(CONFIG, ["transfer.epochs=10", "decision.flips=horizontal", "augmentation.flip=horizontal"])
    assert cost(mirrored, rehearsed, train=64, validation=20, images=100).epoch_seconds == pytest.approx(12.0)


def test_a_sheet_keeps_colours_and_takes_grey(tmp_path: Path) -> None:
    red = np.zeros((1, 16, 16, 3), np.uint8)
    red[..., 0] = 255
    write_contact_sheet(red, ["ré"], tmp_path / "red.png")
    assert cv2.imread(str(tmp_path / "red.png"))[50, 50].tolist() == [0, 0, 255]  # cv2 reads blue, green, red
    write_contact_sheet(np.full((9, 16, 16, 1), 7, np.uint8), ["grey"] * 9, tmp_path / "grey.png")
    sheet = cv2.imread(str(tmp_path / "grey.png"))
    assert sheet.shape[0] == 2 * (TILE + CAPTION)
    assert sheet[50, 50].tolist() == [7, 7, 7]
