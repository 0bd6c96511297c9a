"""`medtl study`: trials as runs, one table, resumed, shared, and a page."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from medtl.errors import MedtlError
from medtl.files import claimed
from medtl.flows.study import study

CONFIG = """
name: tiny
task: {classes: {disc: [disc], square: [square]}, positive: square}
cohorts: [{name: csv, table: table.csv, image: file, label: shape}]
split: {by: image, validation: 0.2, test: 0.3, seed: 3}
image: {size: 32, channels: 1}
backbone: {name: mobilenetv3_small_050, weights: weights.safetensors}
transfer: {strategy: linear-probe, epochs: 1, batch: 8, rate: 0.002, probe_penalty: [1]}
trainer: {device: cpu, threads: 1}
"""
STUDY = """
name: tiny-study
base: tiny.yaml
arms: {scratch: [transfer.strategy=scratch], frozen: [transfer.epochs=1]}
fractions: [0.3, 1]
reading: ledger
"""


@pytest.fixture(scope="module")
def data(discs_and_squares: Callable[..., Path]) -> Path:
    folder: Path = discs_and_squares(CONFIG, 30)
    (folder / "study.yaml").write_text(STUDY)
    return folder


@pytest.fixture(scope="module")
def done(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return study(data / "study.yaml", out=tmp_path_factory.mktemp("studies") / "study")


def test_every_trial_is_a_run_and_a_row(done: Path) -> None:
    table = pd.read_csv(done / "trials.csv")
    assert sorted(zip(table["arm"], table["fraction"], strict=True)) == [("frozen", 0.3), ("frozen", 1), ("scratch", 0.3), ("scratch", 1)]
    assert (table["state"] == "done").all()
    assert (table["cpu_seconds"] > 0).all()
    labels = table.groupby("fraction")["labels"].unique()
    assert len(labels[0.3]) == len(labels[1.0]) == 1
    assert 0.3 * labels[1.0][0] <= labels[0.3][0] < 0.5 * labels[1.0][0]
    tested = {}
    for row in table.itertuples():
        records = pd.read_csv(done / "trials" / row.trial / "records.csv", keep_default_na=False)
        tested[row.trial] = set(records.loc[records["split"] == "test", "image"])
        metrics = json.loads((done / "trials" / row.trial / "metrics.json").read_text())
        assert metrics["splits"]["test"]["auroc"]["value"] == pytest.approx(row.auroc)
    assert len({frozenset(images) for images in tested.values()}) == 1, "every trial is judged on the same images"
    assert not (done / "features").exists() or not any((done / "features").iterdir())


def test_the_page_and_the_claims_are_there(done: Path) -> None:
    content = json.loads((done / "study.json").read_text())
    assert content["trials"] == {"done": 4}
    assert [claim["what"] for claim in content["claims"]] == [
        f"{what} saved by frozen" if what != "gain" else "accuracy gained by frozen" for what in ("gain", "labels", "time")
    ]
    page = (done / "study.html").read_text()
    assert "<svg" in page
    assert "Only 1 seed" in page
    assert (done / "study" / "ledger.csv").exists()


@pytest.mark.slow
def test_the_same_command_repeats_nothing_and_mends_what_is_missing(data: Path, done: Path, tmp_path: Path) -> None:
    copy = tmp_path / "study"
    shutil.copytree(done, copy)
    table = pd.read_csv(copy / "trials.csv")
    gone, kept = table["trial"][0], table["trial"][1:]
    shutil.rmtree(copy / "trials" / gone)
    before = {name: (copy / "trials" / name / "predictions.csv").stat().st_mtime_ns for name in kept}
    study(data / "study.yaml", out=copy)
    again = pd.read_csv(copy / "trials.csv")
    assert again["auroc"].to_list() == pytest.approx(table["auroc"].to_list())
    assert {name: (copy / "trials" / name / "predictions.csv").stat().st_mtime_ns for name in kept} == before


def test_what_a_resumed_trial_does_again_is_not_counted_again(data: Path, done: Path, tmp_path: Path) -> None:
    """As if it had been killed after the probe: a second session computes its features and fits it once more."""
    copy = tmp_path / "study"
    shutil.copytree(done, copy)
    table = pd.read_csv(copy / "trials.csv").set_index("trial")
    name = table.index[table["arm"] == "frozen"][0]
    log = copy / "trials" / name / "log.jsonl"
    events = [json.loads(line) for line in log.read_text().splitlines()]
    begin, probe = (next(place for place, event in enumerate(events) if event["event"] == what) for what in ("begin", "probe"))
    killed = [*events[:begin], shifted(events[begin], 0), {**shifted(events[probe], 0), **moment(events[begin], 50)}]
    later = [shifted(event, 1000 + 30 * (place > begin)) for place, event in enumerate(events)]
    log.write_text("".join(json.dumps(event) + "\n" for event in (*killed, *later)))
    study(data / "study.yaml", out=copy)
    again = pd.read_csv(copy / "trials.csv").set_index("trial")
    for column, clock in (("cpu_seconds", "cpu"), ("wall_seconds", "time")):
        first = events[probe][clock] - events[begin][clock]
        assert again.loc[name, column] == pytest.approx(table.loc[name, column] - first + 50, abs=0.2)


def moment(event: dict[str, Any], seconds: float) -> dict[str, float]:
    return {clock: event[clock] + seconds for clock in ("time", "cpu")}


def shifted(event: dict[str, Any], seconds: float) -> dict[str, Any]:
    return {**event, **moment(event, seconds)}


def test_a_trial_that_another_worker_holds_is_left_to_it(data: Path, done: Path, tmp_path: Path) -> None:
    copy = tmp_path / "study"
    shutil.copytree(done, copy)
    name = pd.read_csv(copy / "trials.csv")["trial"][0]
    shutil.rmtree(copy / "trials" / name)
    with claimed(copy / "claims" / name) as mine:
        assert mine
        study(data / "study.yaml", out=copy)
    assert not (copy / "trials" / name).exists()
    assert pd.read_csv(copy / "trials.csv")["state"].to_list() == ["waiting", "done", "done", "done"]
    assert "Not complete" in (copy / "study.html").read_text()


@pytest.mark.slow
def test_a_trial_that_fails_is_told_and_the_others_go_on(data: Path, tmp_path: Path) -> None:
    (data / "failing.yaml").write_text(
        STUDY.replace("transfer.strategy=scratch", "transfer.strategy=full, transfer.rate=1e30")
        .replace("[0.3, 1]", "[1]")
        .replace("reading: ledger", "reading: {name: ledger, reference: frozen}")
    )
    folder = study(data / "failing.yaml", out=tmp_path / "study")
    table = pd.read_csv(folder / "trials.csv")
    assert sorted(table["state"]) == ["done", "failed"]
    assert "transfer.rate" in table["reason"][0]
    assert "failed: " in (folder / "study.html").read_text()


def test_what_cannot_be_a_study_is_refused_before_training(data: Path, done: Path, tmp_path: Path) -> None:
    (data / "twins.yaml").write_text(STUDY.replace("[transfer.strategy=scratch]", "[transfer.epochs=1]"))
    with pytest.raises(MedtlError, match="one and the same experiment"):
        study(data / "twins.yaml", out=tmp_path / "twins")
    (data / "other.yaml").write_text(STUDY.replace("[0.3, 1]", "[0.5, 1]"))
    with pytest.raises(MedtlError, match="holds another study"):
        study(data / "other.yaml", out=done)
    with pytest.raises(MedtlError, match="was begun with the images of"):
        study(data / "study.yaml", data=tmp_path, out=done)
    with pytest.raises(MedtlError, match="--set seed=5: is varied by the study itself"):
        study(data / "study.yaml", overrides=["seed=5"], out=tmp_path / "seeds")
    (data / "wrong.yaml").write_text(STUDY.replace("transfer.strategy=scratch", "transfer.strategy=scrach"))
    with pytest.raises(MedtlError, match="did you mean 'scratch'"):
        study(data / "wrong.yaml", out=tmp_path / "wrong")
