"""`medtl study` where an image may have several findings: trained, searched, folded, and judged finding by finding."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from medtl import predictions
from medtl.errors import MedtlError, Mistakes
from medtl.flows.study import study

CONFIG = """
name: shapes
task: {kind: multi, classes: {disc: [Disc], square: [Square]}}
cohorts: [{name: csv, table: table.csv, image: file, uncertain: [-1], patient: who}]
split: {validation: 0.25, test: 0.25, seed: 3}
image: {size: 32, channels: 1}
backbone: {name: test_resnet, weights: weights.safetensors}
transfer: {strategy: linear-probe, epochs: 1, batch: 8, rate: 0.002, probe_penalty: [1]}
decision: {gate: none}
trainer: {device: cpu, threads: 1, precision: float32}
"""
COHORT = "[{name: csv, table: table.csv, image: file, uncertain: [-1], patient: who}]"
COHORTS = """
  - {name: csv, table: table.csv, image: file, uncertain: [-1], patient: who, domain: here, unlisted: exclude}
  - {name: csv, folder: there, table: table.csv, image: file, uncertain: [-1], patient: who, domain: there, labels: hidden}
"""
LEDGER = """
name: shapes-ledger
base: shapes.yaml
arms: {stiff: ["transfer.probe_penalty=[1000]"], frozen: []}
fractions: [0.5, 1]
reading: {name: ledger, reference: stiff}
"""
FOLDS = "name: shapes-folds\nbase: shapes.yaml\nset: split.folds=2\narms: {frozen: []}\nreading: folds\n"
SEARCH = """
name: shapes-search
base: shapes.yaml
search: {space: {imbalance.loss: [cross-entropy, asymmetric]}, trials: 2}
"""
BAKE_OFF = """
name: shapes-bake-off
base: shapes.yaml
arms: {plain: [], other: imbalance.loss=asymmetric}
reading: bake-off
"""


@pytest.fixture(scope="module")
def data(discs_or_squares: Callable[..., Path]) -> Path:
    folder = discs_or_squares(CONFIG, 90, "test_resnet")
    for name, text in (("ledger", LEDGER), ("folds", FOLDS), ("search", SEARCH), ("bake-off", BAKE_OFF)):
        (folder / f"{name}.yaml").write_text(text)
    return folder


def each_auroc(table: pd.DataFrame) -> dict[str, float]:
    """Of each finding over the test images of which it is known."""
    own = table[table["split"] == "test"]
    truth = predictions.true_findings(own)
    known = {name: np.isfinite(truth[:, k]) for k, name in enumerate(("disc", "square"))}
    return {name: float(roc_auc_score(truth[rows, k], own[f"p_{name}"][rows])) for k, (name, rows) in enumerate(known.items())}


def test_a_ledger_of_findings(data: Path, tmp_path: Path) -> None:
    done = study(data / "ledger.yaml", out=tmp_path / "study")
    table = pd.read_csv(done / "trials.csv")
    assert (table["state"] == "done").all()
    told = {row.trial: each_auroc(predictions.read(done / "trials" / row.trial / "predictions.csv")) for row in table.itertuples()}
    assert table["auroc"].tolist() == pytest.approx([np.mean(list(told[trial].values())) for trial in table["trial"]])
    labels = table.groupby("fraction")["labels"].first()
    assert labels[0.5] < 0.75 * labels[1.0]
    findings = pd.read_csv(done / "study" / "findings.csv").set_index(["finding", "arm"])["auroc"]
    for row in table[table["fraction"] == 1].itertuples():
        assert findings[:, row.arm].to_dict() == pytest.approx(told[row.trial])
    assert (table.groupby("arm")["validation"].max() > 0).all()
    content = json.loads((done / "study.json").read_text())
    assert [claim["what"] for claim in content["claims"]] == ["accuracy gained by frozen", "labels saved by frozen", "time saved by frozen"]
    page = (done / "study.html").read_text()
    assert "means over the findings disc, square" in page
    assert "Test AUROC of each finding, all labels" in page


def test_folds_of_findings_are_pooled(data: Path, tmp_path: Path) -> None:
    done = study(data / "folds.yaml", out=tmp_path / "study")
    trial = pd.read_csv(done / "trials.csv")["trial"].item()
    table = predictions.read(done / "trials" / trial / "predictions.csv")
    assert pd.read_csv(done / "study" / "findings.csv").set_index("finding")["auroc"].to_dict() == pytest.approx(each_auroc(table))
    means = pd.read_csv(done / "study" / "folds.csv").set_index("figure")
    assert means.at["AUROC", "pooled"] == pytest.approx(np.mean(list(each_auroc(table).values())))
    by_fold = [np.mean(list(each_auroc(own).values())) for _, own in table[table["split"] == "test"].groupby("fold")]
    assert means.at["AUROC", "mean"] == pytest.approx(np.mean(by_fold))


def test_a_search_goes_by_the_mean_over_findings(data: Path, tmp_path: Path) -> None:
    done = study(data / "search.yaml", out=tmp_path / "study")
    table = pd.read_csv(done / "trials.csv")
    assert (table["state"] == "done").all()
    assert table["validation"].between(0, 1).all()
    assert {json.loads(text)["imbalance.loss"] for text in table["settings"]} == {"cross-entropy", "asymmetric"}
    assert (done / "best.yaml").exists()
    assert {"disc", "square"} == set(pd.read_csv(done / "study" / "findings.csv")["finding"])


def test_what_does_not_serve_findings_is_refused_before_training(data: Path, tmp_path: Path) -> None:
    def refused(text: str) -> str:
        (data / "refused.yaml").write_text(text)
        with pytest.raises((MedtlError, Mistakes)) as told:
            study(data / "refused.yaml", out=tmp_path / "refused")
        assert not (tmp_path / "refused").exists()
        return str(told.value)

    said = refused(BAKE_OFF.replace("asymmetric", "ldam"))
    assert "ldam" in said
    assert "is not for a task of kind multi; allowed there: asymmetric, cross-entropy, focal, weighted" in said
    said = refused(f"{BAKE_OFF}set: 'decision.threshold={{name: sensitivity, at_least: 0.9}}'\n")
    assert "gives all arms the same sensitivity" in said


def test_an_adaptation_study_of_findings(data: Path, tmp_path: Path) -> None:
    """Of half of the made patients, darker, in a place that does not know of every third image whether there is a square."""
    table = pd.read_csv(data / "table.csv", dtype=str, keep_default_na=False)
    here = table["who"].isin(table["who"].unique()[::2])
    place = tmp_path / "data" / "there"
    for image, own in zip(table["file"], here, strict=True):
        saved = (tmp_path / "data" if own else place) / image
        saved.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.asarray(Image.open(data / image)).astype(float)
        Image.fromarray(((1 if own else 0.8) * pixels).astype(np.uint8)).save(saved)
    there = table[~here]
    table[here].to_csv(tmp_path / "data" / "table.csv", index=False)
    there.assign(Square=there["Square"].where(np.arange(len(there)) % 3 > 0, "")).to_csv(place / "table.csv", index=False)
    shutil.copy(data / "weights.safetensors", tmp_path / "data")
    (tmp_path / "data" / "shapes.yaml").write_text(
        CONFIG.replace(COHORT, COHORTS).replace("strategy: linear-probe", "strategy: full")
        + "adaptation: {name: coral, target: {domain: there}, release: {labels: validation}}\n"
    )
    (tmp_path / "data" / "study.yaml").write_text("name: a\nbase: shapes.yaml\narms: {one: []}\nreading: adaptation\n")
    done = study(tmp_path / "data" / "study.yaml", out=tmp_path / "study")
    (answers,) = (done / "target").glob("*/answers")
    told = {name: each_auroc(predictions.read(answers / f"{name}.csv")) for name in ("source-only", "coral")}
    table = pd.read_csv(done / "study" / "adaptation.csv").set_index("name")
    assert {name: table.at[name, "auroc"] for name in told} == pytest.approx({k: np.mean(list(v.values())) for k, v in told.items()})
    assert set(table["kind"]) == {"candidate", "ceiling", "baseline"}
    findings = pd.read_csv(done / "study" / "findings.csv").set_index(["arm", "finding"])["auroc"]
    assert findings["coral"].to_dict() == pytest.approx(told["coral"])
    known = predictions.read(answers / "coral.csv")["unknown"]
    assert (known == "square").any()
    assert "AUROC of each finding on the target" in (done / "study.html").read_text()
