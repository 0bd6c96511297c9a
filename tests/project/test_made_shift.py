"""`tools/made_shift.py`: patients fall into A and B, and of B alone the pictures change."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

TOOL = Path(__file__).parents[2] / "tools" / "made_shift.py"


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`make("--strength", "2")` → the folder that the tool fills from 24 pictures of 12 patients."""
    (tmp_path / "images").mkdir()
    rng, rows = np.random.default_rng(0), []
    for number in range(24):
        name = f"images/{number:02d}.png"
        Image.fromarray(rng.integers(0, 256, (64, 64), dtype=np.uint8)).save(tmp_path / name)
        rows.append((name, ("well", "ill")[number % 2], f"p{number // 2}"))
    pd.DataFrame(rows, columns=["file", "finding", "patient_id"]).to_csv(tmp_path / "table.csv", index=False)

    def call(*options: str) -> Path:
        out = tmp_path / f"out{'-'.join(options)}"
        monkeypatch.setattr(sys, "argv", ["made_shift.py", str(tmp_path), str(tmp_path / "table.csv"), str(out), *options])
        runpy.run_path(str(TOOL), run_name="__main__")
        return out

    return call


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_no_patient_is_in_both_and_the_truth_stays(make, tmp_path: Path) -> None:
    out = make()
    whole = pd.read_csv(out / "index.csv")
    assert (whole.groupby("patient_id")["domain"].nunique() == 1).all()
    assert set(whole["domain"]) == {"A", "B"}
    before = pd.read_csv(tmp_path / "table.csv").set_index("file")["finding"]
    assert (before[whole["image"].str.partition("/")[2]].to_numpy() == whole["finding"].to_numpy()).all()
    assert (out / "B" / "index.csv").read_bytes() == (out / "B-as-taken" / "index.csv").read_bytes()


def test_a_and_b_as_taken_are_as_they_were_and_b_is_not(make, tmp_path: Path) -> None:
    out = make()
    for domain in ("A", "B-as-taken"):
        for name in pd.read_csv(out / domain / "index.csv")["image"]:
            assert (pixels(out / domain / name) == pixels(tmp_path / name)).all()
    for name in pd.read_csv(out / "B" / "index.csv")["image"]:
        changed = pixels(out / "B" / name)
        assert changed.shape == (64, 64)
        assert (changed[0] == 0).all(), "collimated"
        assert changed.max() > 200, "the marker"
        assert changed[20:50, 20:50].std() < 0.8 * pixels(tmp_path / name)[20:50, 20:50].std(), "less contrast, blurred"


def test_it_is_the_same_every_time_and_strength_0_changes_nothing(make) -> None:
    one = make()
    kept = {path.relative_to(one): path.read_bytes() for path in one.rglob("*.*")}
    again = make("--seed", "0")
    assert {path.relative_to(again): path.read_bytes() for path in again.rglob("*.*")} == kept
    assert set(pd.read_csv(make("--seed", "1") / "B" / "index.csv")["image"]) != set(pd.read_csv(one / "B" / "index.csv")["image"])
    none = make("--strength", "0")
    for name in pd.read_csv(none / "B" / "index.csv")["image"]:
        assert (pixels(none / "B" / name) == pixels(none / "B-as-taken" / name)).all()


def test_what_is_there_is_not_overwritten(make) -> None:
    make("--patients", "6")
    with pytest.raises(SystemExit):
        make("--patients", "6")
