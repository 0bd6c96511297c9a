"""The whole road once, as the README walks it, on made pictures."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path

import pandas as pd
import pytest

import medtl

ROOT = Path(__file__).parents[2]
PER_CLASS = 24


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    runpy.run_path(str(ROOT / "tools" / "made_pictures.py"))["make_pictures"](folder, PER_CLASS)
    return folder


def test_pictures_are_the_same_ones_every_time(pictures: Path, tmp_path: Path) -> None:
    runpy.run_path(str(ROOT / "tools" / "made_pictures.py"))["make_pictures"](tmp_path, PER_CLASS)
    made = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.png"))
    assert len(made) == 2 * PER_CLASS
    assert all((tmp_path / path).read_bytes() == (pictures / path).read_bytes() for path in made)


def test_train_evaluate_predict(pictures: Path, tmp_path: Path) -> None:
    run = medtl.train(ROOT / "configs" / "smoke.yaml", data=pictures, out=tmp_path / "run")
    splits = pd.read_csv(run.folder / "records.csv")["split"].value_counts()
    assert splits.sum() == 2 * PER_CLASS
    assert set(splits.index) == {"train", "validation", "test"}
    assert set(metrics_of(run.folder)["splits"]) == {"validation"}, "training opened the test images"

    medtl.evaluate(run.folder)
    test = metrics_of(run.folder)["splits"]["test"]
    assert test["n"] == splits["test"]
    assert set(test["per_class"]) == {"disc", "square"}
    assert all({"precision", "recall", "f1", "support"} <= set(figures) for figures in test["per_class"].values())

    some = sorted(pictures.rglob("*.png"))[::10]
    answers = medtl.Model.load(run.folder / "model").predict(some)
    assert len(answers) == len(some)
    assert set(answers["predicted"]) <= {"disc", "square"}


def metrics_of(run: Path) -> dict[str, object]:
    content: dict[str, object] = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    assert content["format"] == 1
    return content


def test_the_config_in_the_readme_is_complete(tmp_path: Path) -> None:
    block = re.search(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    assert block
    config = tmp_path / "readme.yaml"
    config.write_text(block[1], encoding="utf-8")
    assert medtl.load_experiment(config).task.positive == "pneumonia"
