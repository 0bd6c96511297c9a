"""`medtl train` with adaptation: candidates side by side, labels that stay hidden, and a release that needs evidence."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from medtl.errors import GateRefusal, MedtlError
from medtl.flows import train as training
from medtl.flows.later_release import release
from medtl.flows.report import report
from medtl.flows.run import load_run
from medtl.flows.train import train
from medtl.imaging.store import Store
from medtl.model.seen import read_seen, truncated

CONFIG = """
name: shifted
task: {classes: {disc: [disc], square: [square]}, positive: square}
cohorts:
  - {name: csv, domain: here, table: here.csv, unlisted: exclude}
  - {name: csv, domain: there, table: there.csv, labels: hidden, unlisted: exclude}
split: {by: patient, validation: 0.4, test: 0.1, seed: 1}
image: {size: 32, channels: 1}
backbone: {name: test_resnet, weights: none}
transfer: {strategy: scratch, epochs: 2, batch: 8, rate: 0.003}
decision: {gate: {refuse: 0}}
trainer: {device: cpu, threads: 1, precision: float32}
adaptation: {name: coral, target: {domain: there}, augmentation: given, release: {margin: 0.4}}
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, write_hospital: Callable[..., None]) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_hospital(folder, "here", 40, 0)
    write_hospital(folder, "there", 60, 1)
    (folder / "config.yaml").write_text(CONFIG)
    return folder


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    more = ["adaptation.beside=[{name: mcc, weight: 0}, adabn, histogram]", "adaptation.release.labels=validation"]
    return train(data / "config.yaml", out=tmp_path_factory.mktemp("runs") / "run", overrides=more, with_report=False).folder


@pytest.fixture(scope="module")
def unlabelled(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[int]]:
    """The same training where the target's labels are wrong spellings, with the positions of all images read while it trained."""
    table = pd.read_csv(data / "there.csv")
    table.assign(label=["nothing", "that a task knows"] * (len(table) // 2)).to_csv(data / "permuted.csv", index=False)
    seen: set[int] = set()
    read, fit, fitting = Store.read, training.fit_candidates, []

    def spied(self: Store, indices: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        if fitting:
            seen.update(np.asarray(indices).tolist())
        return read(self, indices, out)

    def watched(whole: object) -> None:
        fitting.append(True)
        fit(whole)
        fitting.clear()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "read", spied)
        patch.setattr(training, "fit_candidates", watched)
        place = tmp_path_factory.mktemp("runs") / "unlabelled"
        found = train(data / "config.yaml", out=place, overrides=["cohorts.1.table=permuted.csv"], with_report=False).folder
    return found, seen


def content(run: Path) -> dict:
    return json.loads((run / "release.json").read_text())


def weights(run: Path, candidate: str) -> bytes:
    return (run / "candidates" / candidate / "model" / "weights-0.safetensors").read_bytes()


def test_every_candidate_is_a_run_and_one_is_released(run: Path) -> None:
    found = content(run)
    assert sorted(path.name for path in (run / "candidates").iterdir()) == ["adabn", "coral", "histogram", "mcc", "source-only"]
    assert list(found["scores"]) == ["source-only", "coral", "mcc", "adabn", "histogram"]
    assert found["released"] in ("coral", "source-only")
    assert load_run(run).model().fingerprint == load_run(run / "candidates" / found["released"]).model().fingerprint
    assert (run / "predictions.csv").read_bytes() == (run / "candidates" / found["released"] / "predictions.csv").read_bytes()
    assert found["candidate"] == "coral"
    assert found["chosen_by"] == "named in the config as the primary method"
    assert found["patients"] >= 10
    assert set(found["auroc"]) == set(found["scores"])
    assert found["oracle"] in found["scores"]
    assert "AUROC adapted - source-only is" in found["reason"]


def test_weight_0_is_source_only_bit_for_bit(run: Path) -> None:
    assert weights(run, "mcc") == weights(run, "source-only")
    places = [run / "candidates" / name for name in ("mcc", "source-only")]
    for name in ("predictions.csv", "metrics.json", "model/training-images.json"):
        assert (places[0] / name).read_bytes() == (places[1] / name).read_bytes()
    assert weights(run, "coral") != weights(run, "source-only")


def test_hidden_labels_are_in_no_table_and_what_they_say_changes_nothing(run: Path, unlabelled: tuple[Path, set[int]]) -> None:
    rows = load_run(run).records()
    there = rows["domain"] == "there"
    assert (rows.loc[there, "label"] == "").all()
    assert set(rows.loc[there, "split"]) == {"train", "validation", "test"}
    assert (run / "records.csv").read_bytes() == (unlabelled[0] / "records.csv").read_bytes()
    for candidate in ("source-only", "coral"):
        assert weights(run, candidate) == weights(unlabelled[0], candidate)
    counts = json.loads((run / "model" / "model.json").read_text())["training"]["images"]
    assert set(counts["train"]) == {"disc", "square"}


def test_no_image_of_the_targets_validation_and_test_is_read(unlabelled: tuple[Path, set[int]]) -> None:
    rows = load_run(unlabelled[0]).records()
    there, read = rows["domain"] == "there", rows.index.isin(unlabelled[1])
    assert read[there & (rows["split"] == "train")].all()
    assert not read[there & (rows["split"] != "train")].any()


def test_a_package_knows_the_images_that_it_was_adapted_to(run: Path) -> None:
    joined = load_run(run).records().merge(pd.read_csv(run / "measurements.csv"), on=["image", "frame"])
    there = joined[joined["domain"] == "there"]
    for candidate, expected in (("coral", {"train"}), ("source-only", set())):
        seen = read_seen(run / "candidates" / candidate / "model")
        assert {split for split, pixels in zip(there["split"], there["pixel_hash"], strict=True) if truncated(pixels) in seen} == expected


def test_without_labels_source_only_is_the_package_until_labels_come(
    unlabelled: tuple[Path, set[int]], tmp_path: Path, write_hospital: Callable[..., None]
) -> None:
    run = unlabelled[0]
    found = content(run)
    assert found["released"] == "source-only"
    assert found["reason"].startswith("no labelled target patients")
    assert found["difference"]["value"] is None
    assert found["auroc"] == {}
    write_hospital(tmp_path, "there", 24, 7)
    later = release(run, tmp_path / "there.csv")
    assert later["patients"] == 12
    assert later["released"] == ("coral" if later["difference"]["low"] > -0.4 and not later["veto"] else "source-only")
    assert load_run(run).model().fingerprint == load_run(run / "candidates" / later["released"]).model().fingerprint
    with pytest.raises(GateRefusal, match="12 patients taught a candidate or decided before"):
        release(run, tmp_path / "there.csv")


def test_patients_that_taught_decide_nothing(run: Path, data: Path) -> None:
    with pytest.raises(GateRefusal, match="images taught a candidate"):
        release(run, data / "there.csv")


def test_the_report_says_which_rule_chose_and_what_an_oracle_had(run: Path) -> None:
    page = report(run).read_text()
    found = content(run)
    assert f"Released: {found['released']}." in page
    assert "named in the config as the primary method" in page
    assert "what an oracle would have taken" in page
    table = pd.read_csv(run / "report" / "candidates.csv")
    assert table["candidate"].tolist() == list(found["scores"])


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ("adaptation.target.domain=nowhere", "is the domain of no cohort"),
        ("cohorts.1.labels=given", "has labels that are not hidden"),
        ("split.folds=3", "adapts one network"),
        ("decision.guarantee={recall: 0.9}", "which a target domain's are not"),
        ("adaptation.beside=[coral]", "is named twice"),
        ("adaptation.beside=[korall]", "did you mean 'coral'"),
        ("adaptation.wieght=1", "did you mean 'weight'"),
    ],
)
def test_what_cannot_work_is_refused_in_a_sentence(data: Path, tmp_path: Path, settings: str, sentence: str) -> None:
    with pytest.raises(MedtlError, match=sentence):
        train(data / "config.yaml", out=tmp_path / "run", overrides=[settings], with_report=False)


def test_batch_norms_that_learn_alone_have_to_learn(data: Path, tmp_path: Path) -> None:
    more = ["adaptation.beside=[tent]", "backbone.weights=imagenet", "transfer.strategy=full", "transfer.batch_norm=affine"]
    sentence = "beside[0].name: 'tent' learns by batch norms alone, which transfer.batch_norm: affine keeps from it; choose train"
    with pytest.raises(MedtlError, match=re.escape(sentence)):
        train(data / "config.yaml", out=tmp_path / "run", overrides=more, with_report=False)


@pytest.mark.parametrize("name", ["adabn", "tent"])
def test_a_network_without_batch_norms_is_refused(name: str, data: Path, tmp_path: Path) -> None:
    more = [f"adaptation.name={name}", "backbone.name=test_convnext"]
    with pytest.raises(MedtlError, match=f"{name} needs a network with batch norms, which test_convnext has not"):
        train(data / "config.yaml", out=tmp_path / "run", overrides=more, with_report=False)
    assert not (tmp_path / "run").exists()
