"""`medtl rank` where an image may have several findings: each by itself on the images of which it is known, then the mean."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import medtl
from medtl.backbones import BackboneSettings
from medtl.contracts import Task
from medtl.errors import MedtlError
from medtl.evaluation.summary import summarize
from medtl.experiment.load import load_experiment
from medtl.flows import rank_evidence
from medtl.flows.out_of_fold import out_of_fold
from medtl.flows.rank import Ranked
from medtl.flows.rank_candidates import Candidate
from medtl.flows.rank_figures import by_features, of_probe
from medtl.flows.rank_questions import questions
from medtl.model import format as package_format
from medtl.predictions import known_only_of, true_findings
from medtl.ranking.hscore import h_score
from medtl.ranking.kept import SCORES
from medtl.ranking.knn import neighbours_votes
from medtl.ranking.leep import leep
from medtl.ranking.logme import logme

CONFIG = """
name: sides
task: {kind: multi, classes: {left: [Left], right: [Right], rare: [Rare]}}
cohorts: [{name: csv, table: table.csv, image: file, uncertain: [-1], patient: who}]
split: {column: part}
image: {size: 32, channels: 1}
backbone: {name: test_resnet, weights: a.safetensors}
transfer: {strategy: linear-probe, epochs: 9, batch: 8}
trainer: {device: cpu, threads: 1}
"""
TESTED, RARE = 64, (1, 20, 50, 55, 70, 75)
"""The first patient of test; those with the rare finding, four of them before."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of 80 patients, brighter on the left, the right, both or neither, a tenth of it unknown; weights; the config."""
    place = tmp_path_factory.mktemp("sides")
    random, rows = np.random.default_rng(0), []
    for number in range(160):
        who, left, right = number // 2, int(random.random() < 0.5), int(random.random() < 0.3)
        pixels = random.integers(0, 150, (36, 40)).astype(np.uint8)
        pixels[:, :20] += np.uint8(60 * left)
        pixels[:, 20:] += np.uint8(60 * right)
        Image.fromarray(pixels).save(place / f"{number:03d}.png")
        known = [str(value) if random.random() > 0.1 else "-1" for value in (left, right)]
        part = "train" if who < 45 else "validation" if who < TESTED else "test"
        rows.append((f"{number:03d}.png", f"p{who}", *known, str(int(who in RARE)), part))
    pd.DataFrame(rows, columns=["file", "who", "Left", "Right", "Rare", "part"]).to_csv(place / "table.csv", index=False)
    for seed, name in enumerate("ab"):
        torch.manual_seed(seed)
        save_file(timm.create_model("test_resnet", num_classes=3).state_dict(), place / f"{name}.safetensors")
    (place / "b.safetensors.json").write_text('{"architecture": "test_resnet", "library": "timm"}')
    (place / "sides.yaml").write_text(CONFIG)
    return place


@pytest.fixture(scope="module")
def ranked(place: Path) -> Ranked:
    return medtl.rank(place / "sides.yaml", place, weights_folder=place, epochs=1, out=place / "out")


def test_a_score_is_the_mean_over_the_findings_that_can_be_judged(ranked: Ranked) -> None:
    ranking = ranked.ranking
    assert ranking.findings == ["left", "right"]
    names = {each.name for each in ranking.candidates}
    assert names == {"test_resnet, a", "test_resnet, b", "test_resnet, random weights"}
    for each in ranking.candidates:
        assert set(each.of_findings) == {"left", "right"}
        for score in set(SCORES) - {"distance"}:
            own = [each.of_findings[name][score]["value"] for name in ("left", "right")]
            if score == "leep" and not each.pretrained:
                assert own == [None, None]
                assert each.figures[score]["value"] is None
            else:
                assert each.figures[score]["value"] == pytest.approx(np.mean(own))
        assert each.figures["probe"]["value"] > 0.8, "a brighter side is easily told"
        assert each.figures["probe"]["low"] <= each.figures["probe"]["value"] <= each.figures["probe"]["high"]
    first = ranking.candidates[0]
    assert first.figures["behind"]["value"] is None or first.figures["behind"]["value"] <= 0
    (note,) = ranking.notes
    assert note.startswith("Left out of every score, for fewer than 5 groups have it or have it not: rare (4 with it, 60 without).")


def test_counts_are_of_each_side(ranked: Ranked, place: Path) -> None:
    table = pd.read_csv(place / "table.csv").query("part != 'test'")
    counts = ranked.ranking.counts
    for column in ("Left", "Right", "Rare"):
        name = column.lower()
        assert counts[f"images of known {name}"] == (table[column] >= 0).sum()
        assert counts[f"groups of {name}"] == table.loc[table[column] == 1, "who"].nunique()
        assert counts[f"groups of no {name}"] == table.loc[table[column] == 0, "who"].nunique()
    reasons = " ".join(ranked.ranking.advice.reasons)
    assert "Of 'rare' there are 4 groups only" in reasons


def test_the_true_ranking_is_of_the_mean_auroc(ranked: Ranked) -> None:
    ranking = ranked.ranking
    assert ranking.tuned.startswith("mean AUROC on validation after 1 epochs")
    runs = [medtl.load_run(ranked.folder / "tuned" / f"{i:02d}") for i in (1, 2, 3)]
    judged = {each.name: each.figures["tuned"] for each in ranking.candidates}
    for name, run in zip(("test_resnet, a", "test_resnet, b", "test_resnet, random weights"), runs, strict=True):
        entry = run.metrics()["splits"]["validation"]
        assert judged[name]["value"] == pytest.approx(np.mean([entry["per_class"][each]["auroc"]["value"] for each in ("left", "right")]))
        assert entry["per_class"]["rare"]["auroc"]["value"] is not None, "learned and judged by training, but not by the ranking"
    assert {"probe", "knn", "logme", "h_score"} <= set(ranking.agreements)


def test_what_is_written(ranked: Ranked) -> None:
    content = json.loads((ranked.folder / "rank.json").read_text(), parse_constant=pytest.fail)
    assert content["findings"] == ["left", "right"]
    table = pd.read_csv(ranked.folder / "rank_findings.csv")
    assert table[["finding", "candidate"]].drop_duplicates().shape == (6, 2)
    page = (ranked.folder / "rank.html").read_text()
    for part in ("Mean AUROC of probe and neighbours", "mean over 2 findings", "Findings, each by itself", "rare (4 with it, 60 without)"):
        assert part in page


def made(images: int, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Records of two findings, a fifth of each unknown; features (N, 6) that tell of both; answers (N, 3) of a source."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 2, (images, 2))
    features = random.normal(size=(images, 6)).astype(np.float32)
    features[:, :2] += truth * (0.7, 1.5)
    answers = random.dirichlet((1, 1, 1), images)
    answers = (answers + np.eye(3)[truth.sum(axis=1)]) / 2
    told = np.where(random.random(truth.shape) < 0.2, "", truth.astype(str))
    rows = pd.DataFrame({"image": [f"{i}.png" for i in range(images)], "frame": 0, "domain": "here", "split": "train", "fold": ""})
    rows = rows.assign(group_id=[f"g{i // 2}" for i in range(images)], y_a=told[:, 0], y_b=told[:, 1])
    return rows.assign(label=np.where((told == "").all(axis=1), "", "known")), features, answers


@pytest.mark.parametrize("monitor", ["auroc", "auprc", "balanced-accuracy", "loss"])
def test_each_score_is_the_mean_of_those_of_binary_tasks(place: Path, monitor: str) -> None:
    """Worked one finding after the other, each as a table of its own that lacks the images of which it is unknown."""
    rows, features, answers = made(240)
    task = Task(kind="multi", classes={"a": (), "b": ()})
    experiment = load_experiment(place / "sides.yaml", [f"transfer.monitor={monitor}"]).model_copy(update={"task": task})
    positions = np.flatnonzero(rows["label"] != "")
    groups = pd.factorize(rows["group_id"].iloc[positions])[0].astype(np.int64)
    asked = questions(rows, positions, task)
    found, _ = by_features(features[positions], answers[positions], "", asked, groups, experiment)
    probe, each, _ = of_probe(features[positions], positions, rows, asked, experiment)

    own: dict[str, list[float]] = {score: [] for score in ("logme", "leep", "h_score", "knn", "probe")}
    measure = {"auroc": "auroc", "auprc": "auprc", "balanced-accuracy": "balanced_accuracy", "loss": "auroc"}[monitor]
    for name in ("a", "b"):
        alone = rows[rows[f"y_{name}"] != ""]
        kept, targets = features[alone.index], alone[f"y_{name}"].to_numpy(np.int64)
        binary = Task(classes={"no": (), "yes": ()}, positive="yes")
        labelled = alone.assign(label=np.where(targets == 1, "yes", "no")).reset_index(drop=True)
        votes = neighbours_votes(kept, targets, pd.factorize(alone["group_id"])[0].astype(np.int64), 2)
        own["logme"].append(logme(kept, targets, 2))
        own["leep"].append(leep(answers[alone.index], targets, 2))
        own["h_score"].append(h_score(kept, targets))
        own["knn"].append(_by_votes(measure, targets, votes[:, 1]))
        own["probe"].append(summarize(out_of_fold(labelled, kept, binary), binary)[measure]["value"])
    for score in ("logme", "leep", "h_score", "knn"):
        assert found[score]["value"] == pytest.approx(np.mean(own[score])), score
    assert probe["value"] == pytest.approx(np.mean(own["probe"]))
    assert [each[name]["value"] for name in ("a", "b")] == pytest.approx(own["probe"])


def _by_votes(measure: str, targets: np.ndarray, votes: np.ndarray) -> float:
    from sklearn.metrics import average_precision_score, balanced_accuracy_score, roc_auc_score

    if measure == "balanced_accuracy":
        return float(balanced_accuracy_score(targets, votes > 0.5))
    return float((roc_auc_score if measure == "auroc" else average_precision_score)(targets, votes))


def test_what_is_unknown_of_an_image_changes_nothing_of_that_finding(place: Path) -> None:
    rows, features, answers = made(120)
    task = Task(kind="multi", classes={"a": (), "b": ()})
    experiment = load_experiment(place / "sides.yaml").model_copy(update={"task": task})
    groups = np.arange(120) // 2
    values = []
    for shift in (0.0, 5.0):
        moved = features + shift * (rows["y_b"] == "").to_numpy()[:, None].astype(np.float32)
        asked = questions(rows, np.arange(120), task)
        _, each = by_features(moved, answers, "", asked, groups, experiment)
        values.append((each["a"]["logme"]["value"], each["b"]))
    assert values[0][1] == values[1][1]
    assert values[0][0] != values[1][0]


def test_a_truth_that_is_taken_back_leaves_the_others(place: Path) -> None:
    rows, features, _ = made(60)
    task = Task(kind="multi", classes={"a": (), "b": ()})
    table = out_of_fold(rows, features, task)
    assert table is not None
    alone = true_findings(known_only_of(table, ["b"]))
    assert np.isnan(alone[:, 0]).all()
    np.testing.assert_array_equal(alone[:, 1], true_findings(table)[:, 1])


def test_the_labels_of_a_source_of_findings_are_their_sets(ranked: Ranked, tmp_path: Path) -> None:
    """Of three findings eight, none of them and so on, each finding by itself."""
    folder = ranked.folder / "tuned" / "01" / "model"
    candidate = Candidate("x", BackboneSettings(name="test_resnet", weights=str(folder)), package=folder)
    state = load_file(folder / "weights-0.safetensors")
    features = torch.randn(5, state["head.weight"].shape[1], generator=torch.Generator().manual_seed(0))
    found, why_not = rank_evidence.source_answers(candidate, features, tmp_path)
    p = torch.sigmoid(features @ state["head.weight"].T + state["head.bias"]).double().numpy()
    by_hand = [np.prod(np.where(present, p, 1 - p), axis=1) for present in itertools.product((False, True), repeat=3)]
    assert why_not == ""
    assert found is not None
    np.testing.assert_allclose(np.sort(found, axis=1), np.sort(np.stack(by_hand, axis=1), axis=1), rtol=1e-5)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    single = Candidate("x", candidate.backbone)  # weights without a package's word are of one class per image
    np.testing.assert_allclose(
        rank_evidence.source_answers(single, features, tmp_path)[0],
        torch.softmax(features @ state["head.weight"].T + state["head.bias"], dim=1).numpy(),
        rtol=1e-5,
    )


def test_what_a_sources_loss_added_is_undone(ranked: Ranked, tmp_path: Path) -> None:
    folder = shutil.copytree(ranked.folder / "tuned" / "01" / "model", tmp_path / "model")
    fields = package_format.read(folder).model_dump(mode="json")
    candidate = Candidate("x", BackboneSettings(name="test_resnet", weights=str(folder)), package=folder)
    state = load_file(folder / "weights-0.safetensors")
    features = 0.001 * torch.randn(5, state["head.weight"].shape[1], generator=torch.Generator().manual_seed(0))
    before, _ = rank_evidence.source_answers(candidate, features, tmp_path)
    package_format.write(package_format.signed({**fields, "prior_shift": [[0.7, 0.0, -1.2]]}), folder)
    after, _ = rank_evidence.source_answers(candidate, features, tmp_path)
    assert before is not None
    assert after is not None
    logits = (features @ state["head.weight"].T + state["head.bias"]).double().numpy() - [0.7, 0.0, -1.2]
    none_of_them = np.prod(1 / (1 + np.exp(logits)), axis=1)
    np.testing.assert_allclose(after[:, 0], none_of_them, rtol=1e-4)
    assert not np.allclose(before, after)


def test_too_few_of_every_finding_is_refused(place: Path, tmp_path: Path) -> None:
    few = ["task.classes={rare: [Rare], rarer: [Rarer]}", "cohorts.0.table=few.csv"]
    table = pd.read_csv(place / "table.csv").assign(Rarer=lambda given: given["Rare"])
    table.to_csv(place / "few.csv", index=False)
    with pytest.raises(MedtlError, match=r"at least 5 groups \(patients\) have and 5 have not.*rare \(4 with it, 60 without\)"):
        medtl.rank(place / "sides.yaml", place, overrides=few, out=tmp_path / "out")
    assert not (tmp_path / "out" / "records.csv").exists()
