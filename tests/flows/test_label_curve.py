"""`medtl labels`: from two domains to a curve of the target's labels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from medtl.errors import MedtlError
from medtl.flows.few_labels import ALONE, BRIGHTNESS, JOINTLY, SOURCE
from medtl.flows.label_curve import label_curve
from medtl.flows.looks import state_dir

CONFIG = """
name: two-places
task: {kind: single, classes: {left: [left], right: [right]}, positive: right}
cohorts:
  - {name: csv, domain: here, table: here.csv, image: file, label: side}
  - {name: csv, domain: there, table: there.csv, image: file, label: side, labels: hidden}
split: {by: image, validation: 0.15, test: 0.4, seed: 0}
image: {size: 32, fit: squeeze}
backbone: {name: test_resnet, weights: none, features: stages}
transfer: {strategy: scratch}
trainer: {threads: 1, device: cpu}
seed: 0
"""


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bright patch on the left or on the right; the second place is darker, and its classes stand on the other side."""
    folder = tmp_path_factory.mktemp("places")
    for place, count, level in (("here", 60, 160), ("there", 90, 60)):
        chance, rows = np.random.default_rng(count), []
        (folder / place).mkdir()
        for number in range(count):
            pixels = chance.normal(level, 20, (32, 32))
            left = number % 2 == 0
            pixels[8:24, slice(2, 12) if left else slice(20, 30)] += 70
            Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(folder / f"{place}/{number}.png")
            rows.append({"file": f"{place}/{number}.png", "side": "left" if left == (place == "here") else "right"})
        pd.DataFrame(rows).to_csv(folder / f"{place}.csv", index=False)
    (folder / "two.yaml").write_text(CONFIG)
    return folder


def test_curves_of_every_way_and_number(places: Path, tmp_path: Path) -> None:
    folder, curve = label_curve(places / "two.yaml", "there", counts=(6, 20, 500), draws=3, out=tmp_path / "found")
    cells = {(learned, labels) for learned, _, labels in curve.cells}
    assert cells == {(SOURCE, 0), *((way, count) for way in (ALONE, JOINTLY, BRIGHTNESS) for count in (6, 20))}
    rows = {row.name: row for row in curve.rows() if row.labels in (0, 20)}
    assert rows[SOURCE].auroc < 0.5, "what was learned here is the wrong way round there"
    assert rows[f"{ALONE}, at random"].auroc > rows[SOURCE].auroc
    assert len(pd.read_csv(folder / "labels.csv")) == len(curve.cells)
    page = (folder / "labels.html").read_text()
    assert "500 labels" in page, "a number that the pool does not have is named"
    assert "look 1 at them" in page
    (ledger,) = [path for path in (state_dir() / "looks").glob("*.jsonl") if "two-places" in path.read_text()]
    assert json.loads(ledger.read_text().splitlines()[0])["model"] == "labels of there"


def test_the_same_command_gives_the_same_table(places: Path, tmp_path: Path) -> None:
    first, again = (label_curve(places / "two.yaml", "there", counts=(6,), draws=2, out=tmp_path / name)[0] for name in "ab")
    assert (first / "labels.csv").read_bytes() == (again / "labels.csv").read_bytes()


@pytest.mark.parametrize(
    ("domain", "counts", "draws", "overrides", "message"),
    [
        ("ther", (6,), 2, [], "--domain ther: is the domain of no cohort; did you mean 'there'"),
        ("there", (1,), 2, [], "--count 1: is too few"),
        ("there", (6,), 1, [], "--draws 1: is too few"),
        ("there", (6,), 2, ["split={by: image, folds: 3, validation: 0.15}"], "split.folds: medtl labels judges on one fixed part"),
    ],
)
def test_what_cannot_be_asked(
    places: Path, tmp_path: Path, domain: str, counts: tuple[int, ...], draws: int, overrides: list[str], message: str
) -> None:
    with pytest.raises(MedtlError, match=message.replace("'", ".?")):
        label_curve(places / "two.yaml", domain, overrides=overrides, counts=counts, draws=draws, out=tmp_path / "refused")
    assert not (tmp_path / "refused").exists()
