"""`medtl update` on made pictures: what is released, what is refused, and what either leaves behind."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from medtl.errors import GateRefusal, MedtlError
from medtl.flows.train import train
from medtl.flows.update import update
from medtl.model import format as package_format
from medtl.model.ancestry import read_ancestry
from medtl.model.model import Model
from medtl.model.seen import read_seen

ROOT = Path(__file__).parents[2]
CONFIG = """
name: shapes
task: {classes: {disc: [disc], square: [square]}, positive: square}
cohorts: [{name: csv, domain: here, table: here.csv, unlisted: exclude}]
split: {by: patient, validation: 0.2, test: 0.1, seed: 1}
image: {size: 32, channels: 1}
backbone: {name: test_resnet, weights: none}
transfer: {strategy: scratch, epochs: 12, batch: 16, rate: 0.003}
decision: {gate: {refuse: 0}}
trainer: {device: cpu, threads: 1, precision: float32}
"""
QUICK = ("epochs=6", "batch=16", "rate=0.001", "trainer={device: cpu, threads: 1}")


def write_pictures(folder: Path, table: str, count: int, seed: int, dark: bool = False, flipped: float = 0.0) -> Path:
    """`count` pictures, each of a patient of its own; `dark`: as another device shows them; a share of labels is `flipped`."""
    picture, rng, rows = runpy.run_path(str(ROOT / "tools" / "made_pictures.py"))["picture"], np.random.default_rng(seed), []
    wrong = np.random.default_rng(seed + 1).permutation(count) < flipped * count
    (folder / table).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        shape, other = ("disc", "square")[:: 1 if number % 2 else -1]
        values = picture(shape, rng).astype(float)
        values = 0.8 * 255 * (values / 255) ** 3 if dark else values
        name = f"{table}/{number:03d}.png"
        Image.fromarray(np.clip(values, 0, 255).astype(np.uint8)).save(folder / name)
        rows.append((name, other if wrong[number] else shape, f"{table}-{number}"))
    pd.DataFrame(rows, columns=["image", "label", "patient_id"]).to_csv(folder / f"{table}.csv", index=False)
    return folder / f"{table}.csv"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_pictures(folder, "here", 400, 0)
    write_pictures(folder, "reference", 300, 1)
    write_pictures(folder, "dark", 300, 2, dark=True)
    write_pictures(folder, "flipped", 300, 2, dark=True, flipped=0.3)
    (folder / "config.yaml").write_text(CONFIG)
    return folder


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(data / "config.yaml", out=tmp_path_factory.mktemp("runs") / "run", with_report=False).folder


def test_dark(run: Path, data: Path, tmp_path: Path) -> None:
    update(run, data / "dark.csv", data / "reference.csv", data / "here.csv", overrides=QUICK, out=tmp_path / "updated")
    print((tmp_path / "updated" / "update.json").read_text())
    assert 0
