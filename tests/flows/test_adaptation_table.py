"""A study of adaptation: labels of the target are opened once, after all training, beside ceilings and brightness."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import timm
import torch
from safetensors.torch import save_file
from sklearn.metrics import roc_auc_score

from medtl.contracts import Task
from medtl.errors import MedtlError
from medtl.flows import adaptation_table
from medtl.flows.study import study
from medtl.records import KEY

CONFIG = """
name: shifted
task: {classes: {disc: [disc], square: [square]}, positive: square}
cohorts:
  - {name: csv, domain: here, folder: first, table: here.csv, unlisted: exclude}
  - {name: csv, domain: there, folder: second, table: there.csv, labels: hidden, unlisted: exclude}
split: {by: patient, validation: 0.2, test: 0.4, seed: 1}
image: {size: 32, channels: 1}
backbone: {name: test_resnet, weights: weights.safetensors}
transfer: {strategy: linear-probe, probe_penalty: [1]}
decision: {gate: {refuse: 0}}
trainer: {device: cpu, threads: 1, precision: float32}
adaptation: {name: mcc, target: {domain: there}, augmentation: given, release: {labels: validation}}
"""
STUDY = """
name: shifted-study
base: config.yaml
arms: {methods: ["adaptation.beside=[adabn]"]}
seeds: [0, 1]
reading: {name: adaptation, wanted: 0.6, recovered: 0.8, as_taken: as-taken}
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, write_hospital: Callable[..., None]) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_hospital(folder / "first", "here", 40, 0)
    write_hospital(folder / "second", "there", 60, 1)
    shutil.copytree(folder / "second", folder / "as-taken")
    for path in (folder / "as-taken" / "there").glob("*.png"):  # the pictures of a source patient stand for those before the shift
        shutil.copyfile(folder / "first" / "here" / f"0-{int(path.stem[2:]) % 40:03d}.png", path)
    torch.manual_seed(0)
    save_file(timm.create_model("test_resnet").state_dict(), folder / "weights.safetensors")
    (folder / "config.yaml").write_text(CONFIG)
    (folder / "study.yaml").write_text(STUDY)
    return folder


@pytest.fixture(scope="module")
def done(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return study(data / "study.yaml", out=tmp_path_factory.mktemp("studies") / "study")


def opened(done: Path) -> list[Path]:
    return sorted(path.parent for path in (done / "target").glob("*/opened.json"))


def test_every_candidate_of_every_seed_answers_the_same_target_patients(data: Path, done: Path) -> None:
    hidden = pd.read_csv(data / "second" / "there.csv").assign(image=lambda rows: "second/" + rows["image"]).set_index("image")["label"]
    asked = []
    for place in opened(done):
        run = done / "trials" / place.name
        records = pd.read_csv(run / "records.csv", keep_default_na=False)
        test = set(records.loc[(records["domain"] == "there") & (records["split"] == "test"), "image"])
        for name in ("source-only", "mcc", "adabn"):
            table = pd.read_csv(place / "answers" / f"{name}.csv")
            assert set(table["image"]) == test
            assert (hidden[table["image"]].to_numpy() == table["truth"].to_numpy()).all()
            asked.append(frozenset(test))
    assert len(asked) == 6
    assert len(set(asked)) == 1


def test_the_table_has_what_scikit_learn_finds(done: Path) -> None:
    table = pd.read_csv(done / "study" / "adaptation.csv").set_index("name")
    names = ["source-only", "mcc", "adabn", "target-trained", "as taken"]
    assert table.index[:5].tolist() == names
    assert table.index[5:].str.startswith("brightness").all()
    for name in names:
        kind = "answers" if name in names[:3] else "ceilings"
        tables = [pd.read_csv(place / kind / f"{name}.csv") for place in opened(done)]
        areas = [roc_auc_score(each["truth"] == "square", each["p_square"]) for each in tables]
        assert sorted([table.at[name, "seed_0"], table.at[name, "seed_1"]]) == pytest.approx(sorted(areas))
        assert table.at[name, "auroc_low"] <= table.at[name, "auroc"] <= table.at[name, "auroc_high"]
    assert table.at["mcc", "less_source"] == pytest.approx(table.at["mcc", "auroc"] - table.at["source-only", "auroc"])


def test_each_model_counts_as_a_look_and_the_same_command_opens_nothing_again(data: Path, done: Path) -> None:
    looks = [json.loads((place / "opened.json").read_text())["looks"]["look"] for place in opened(done)]
    assert max(looks) == 2 * 4, "three candidates and a ceiling of either seed; the images as taken are other images"
    before = {path: path.stat().st_mtime_ns for place in opened(done) for path in place.rglob("*")}
    study(data / "study.yaml", out=done)
    assert {path: path.stat().st_mtime_ns for place in opened(done) for path in place.rglob("*")} == before


def test_a_ceiling_learned_from_the_targets_other_patients_with_the_same_recipe(done: Path) -> None:
    ceilings = sorted(path.parent for path in (done / "ceilings").glob("*/metrics.json"))
    assert len(ceilings) == 2
    for place in ceilings:
        records = pd.read_csv(place / "records.csv", keep_default_na=False)
        assert set(records["domain"]) == {"there"}
        trial = pd.read_csv(done / "trials" / opened(done)[0].name / "records.csv", keep_default_na=False)
        both = records.merge(trial, on=[*KEY, "group_id"], suffixes=("", "_trial"))
        assert len(both) == 60
        assert (both["split"] == both["split_trial"]).all()


def test_claims_ways_and_releases_are_told(done: Path) -> None:
    claims = [each["what"] for each in json.loads((done / "study.json").read_text())["claims"]]
    assert [what.rpartition(" ")[0] for what in claims[:2]] == ["adapting by mcc", "adapting by adabn"]
    assert claims[2] == "an AUROC of 0.600 or more without labels of there"
    assert claims[3:] == [
        f"80 % or more of the gap to {ceiling} recovered by mcc"
        for ceiling in ("a model trained on the target's labels", "images as taken")
    ]
    ways = pd.read_csv(done / "study" / "ways.csv").set_index("way")
    releases = [json.loads((done / "trials" / place.name / "release.json").read_text())["released"] for place in opened(done)]
    assert sorted(ways.at["the release rule", "taken"].split("|")) == sorted(releases)
    assert (ways["behind_oracle"] <= 1e-12).all()
    page = (done / "study.html").read_text()
    for said in ("Share of the gap that was recovered", "brightness, by the source&#39;s labels", "What was released, and why", "<svg"):
        assert said in page


def test_nothing_is_opened_while_a_trial_is_left_to_train(data: Path, done: Path, tmp_path: Path) -> None:
    copy = tmp_path / "study"
    shutil.copytree(done, copy)
    shutil.rmtree(copy / "target")
    (copy / "study.yaml").write_text(STUDY + "minutes: 0.00001\n")
    (data / "short.yaml").write_text(STUDY + "minutes: 0.00001\n")
    shutil.rmtree(copy / "trials" / opened(done)[0].name)
    study(data / "short.yaml", out=copy)
    assert not (copy / "target").exists()
    assert "The target&#39;s labels are not opened yet" in (copy / "study.html").read_text()


def test_trials_trained_before_are_taken_up(data: Path, done: Path, tmp_path: Path) -> None:
    shutil.copytree(done / "trials", tmp_path / "study" / "trials")
    shutil.copytree(done / "ceilings", tmp_path / "study" / "ceilings")
    with pytest.raises(MedtlError, match="is not empty and no study"):
        study(data / "study.yaml", out=tmp_path / "study")
    shutil.rmtree(tmp_path / "study" / "ceilings")
    (data / "bare.yaml").write_text(STUDY.replace("as_taken: as-taken", "ceiling: false").replace("recovered: 0.8, ", ""))
    folder = study(data / "bare.yaml", out=tmp_path / "study")
    assert pd.read_csv(folder / "study" / "adaptation.csv")["name"].tolist()[:3] == ["source-only", "mcc", "adabn"]


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_a_target_without_labels_to_judge_by_is_said(kind: str) -> None:
    task = Task(kind=kind, classes={"disc": (), "square": ()})
    run = SimpleNamespace(folder="RUN", experiment=SimpleNamespace(task=task))
    one = {"label": ["disc", "disc"]} | ({"y_disc": ["1", "1"], "y_square": ["", "0"]} if kind == "multi" else {})
    rows = pd.DataFrame(one)
    with pytest.raises(MedtlError, match=r"the test images of 'there' have no label at all, and a judgement needs"):
        adaptation_table._of_two_classes(run, rows[:0], "there")
    needed = "two classes" if kind == "single" else "a finding that some have and some have not"
    with pytest.raises(MedtlError, match=f"the test images of 'there' have disc, and a judgement needs {needed}"):
        adaptation_table._of_two_classes(run, rows, "there")


def test_a_look_that_cannot_be_counted_is_not_taken(data: Path, done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "study"
    shutil.copytree(done, copy)
    shutil.rmtree(copy / "target")

    def refused(*_: object) -> None:
        raise MedtlError("the look cannot be counted")

    monkeypatch.setattr(adaptation_table, "count_look", refused)
    with pytest.raises(MedtlError, match="cannot be counted"):
        study(data / "study.yaml", out=copy)
    assert not opened(copy)


def test_a_study_without_adaptation_is_refused_before_training(data: Path, tmp_path: Path) -> None:
    (data / "none.yaml").write_text(STUDY.replace('["adaptation.beside=[adabn]"]', "[adaptation=none]"))
    with pytest.raises(MedtlError, match="is of trials that adapt"):
        study(data / "none.yaml", out=tmp_path / "study")
