"""`medtl labels`: from two domains to a curve of the target's labels."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.metrics import roc_auc_score

from medtl.errors import MedtlError
from medtl.evaluation.judge import Judge
from medtl.flows.few_labels import ALONE, BRIGHTNESS, JOINTLY, SOURCE, Places, Side, from_source, ways_of_learning
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
FINDINGS = "{kind: multi, classes: {left: [], right: []}}"


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


def test_findings_are_learned_and_judged_each_by_itself(places: Path, tmp_path: Path) -> None:
    """Two findings, the second known of two images in three."""
    for place in ("here", "there"):
        table = pd.read_csv(places / f"{place}.csv")
        left = (table["side"] == "left").astype(int)
        known = np.where(np.arange(len(table)) % 3 == 0, "", (1 - left).astype(str))
        table.assign(left=left, right=known).drop(columns="side").to_csv(places / f"{place}-findings.csv", index=False)
    config = CONFIG.replace("{kind: single, classes: {left: [left], right: [right]}, positive: right}", FINDINGS)
    config = config.replace(".csv, image: file, label: side", "-findings.csv, image: file").replace("name: two-places", "name: findings")
    (places / "findings.yaml").write_text(config)
    folder, curve = label_curve(places / "findings.yaml", "there", counts=(6, 20), draws=3, out=tmp_path / "found")
    rows = {row.name: row for row in curve.rows() if row.labels in (0, 20)}
    assert rows[SOURCE].auroc < 0.7 < 0.9 < rows[f"{ALONE}, at random"].auroc, "what was learned here is the wrong way round there"
    page = (folder / "labels.html").read_text()
    assert "The mean is over the findings (left, right)" in page
    assert "Without a label of there: mean AUROC" in page


def test_answers_for_a_finding_are_those_of_a_task_of_two_classes() -> None:
    random = np.random.default_rng(0)

    def side(images: int) -> Side:
        truth = random.integers(0, 2, (images, 2)).astype(np.float32)
        features = torch.from_numpy(random.normal(size=(images, 4)) + np.pad(truth, ((0, 0), (0, 2)))).float()
        truth[random.random(truth.shape) < 0.2] = np.nan
        return Side(features, features[:, :1], truth, np.arange(images))

    places = Places(side(50), side(60), side(40), (4,), 2, None)
    labelled, found = places.pool.some(np.arange(25)), ways_of_learning(places)
    for k in range(2):
        alone = ways_of_learning(places.finding(k))
        for name in (ALONE, JOINTLY, BRIGHTNESS):
            own = alone[name](labelled.finding(k))
            np.testing.assert_allclose(found[name](labelled)[:, k], own[:, 1])
        nothing = replace(labelled, truth=np.full_like(labelled.truth, np.nan))
        np.testing.assert_array_equal(found[ALONE](nothing), 0.5)
        np.testing.assert_allclose(found[JOINTLY](nothing), from_source(places, places.judged))
    answers = found[ALONE](labelled)
    repeated = Judge(places.judged.truth, places.judged.groups, None, places.judged.brightness[:, 0].numpy()).repeated([answers])
    known = [np.isfinite(places.judged.truth[:, k]) for k in range(2)]
    areas = [roc_auc_score(places.judged.truth[own, k], answers[own, k]) for k, own in enumerate(known)]
    assert repeated.values[0] == pytest.approx(np.mean(areas))
