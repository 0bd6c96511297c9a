"""`medtl update` of more than one network of two classes: ensembles, labels finer than the question, several findings per image."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from medtl import predictions, records
from medtl.contracts import Task
from medtl.decisions.threshold import adjustment
from medtl.errors import GateRefusal, MedtlError
from medtl.flows.manifest import read_teaching
from medtl.flows.run import load_run
from medtl.flows.train import train
from medtl.flows.update import update
from medtl.flows.update_replay import read_taught
from medtl.flows.update_sets import NEW, REFERENCE, REPLAY, read_sets
from medtl.flows.update_settings import UpdateSettings
from medtl.model.model import Model
from medtl.terminal import Line
from medtl.training.fit import learned_targets

SIDE = 32
CONFIG = """
name: shapes
task: {task}
cohorts: [{{name: csv, domain: here, table: here.csv}}]
split: {{by: patient, validation: 0.25, test: 0.1, seed: 1}}
image: {{size: 32, channels: 1}}
backbone: {{name: test_resnet, weights: none}}
transfer: {{strategy: scratch, epochs: 1, batch: 16, rate: 0.001, members: {members}}}
decision: {{gate: {{refuse: 0}}}}
trainer: {{device: cpu, threads: 1, precision: float32}}
"""
QUICK = [
    "epochs=4", "margin=0.2", "batch=16", "rate=0.003", "batch_norm=train", "trainer={device: cpu, threads: 1, precision: float32}",
]  # fmt: skip


def picture(disc: bool, square: bool, random: np.random.Generator) -> Image.Image:
    across, down = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    values = random.normal(80, 12, size=(SIDE, SIDE))
    if disc:
        values += 90 * (np.hypot(across - 9, down - random.uniform(8, 24)) < random.uniform(5, 7))
    if square:
        values += 90 * (np.maximum(np.abs(across - 23), np.abs(down - random.uniform(8, 24))) < random.uniform(4, 6))
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def write_shapes(folder: Path, name: str, count: int, seed: int) -> pd.DataFrame:
    """One disc or square each, of a patient of its own; discs are called `ring` or `dot`, by chance."""
    random, rows = np.random.default_rng(seed), []
    (folder / name).mkdir(parents=True)
    for number in range(count):
        disc = number % 2 == 0
        picture(disc, not disc, random).save(folder / name / f"{number}.png")
        rows.append((f"{name}/{number}.png", random.choice(["dot", "ring"]) if disc else "square", f"{name}{number}"))
    return pd.DataFrame(rows, columns=["image", "label", "patient_id"])


def write_findings(folder: Path, name: str, count: int, seed: int) -> pd.DataFrame:
    """A disc, a square, both or neither; a tenth of the labels is not known."""
    random, rows = np.random.default_rng(seed), []
    (folder / name).mkdir(parents=True)
    for number in range(count):
        there = random.random(2) < 0.5
        picture(*there, random).save(folder / name / f"{number}.png")
        rows.append((f"{name}/{number}.png", *(str(int(each)) if random.random() > 0.1 else "" for each in there), f"{name}{number}"))
    return pd.DataFrame(rows, columns=["image", "disc", "square", "patient_id"])


@pytest.fixture(scope="module")
def finer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two networks that learned spellings; `new.csv` calls them otherwise, `reference.csv` knows only the classes."""
    folder = tmp_path_factory.mktemp("finer")
    write_shapes(folder, "here", 160, 0).to_csv(folder / "here.csv", index=False)
    new, reference = write_shapes(folder, "new", 240, 1), write_shapes(folder, "reference", 120, 2)
    new.assign(label=new["label"].replace({"dot": "DOT"})).to_csv(folder / "new.csv", index=False)
    classes = reference["label"].map({"dot": "round", "ring": "round", "square": "edged"})
    reference.assign(label=classes).to_csv(folder / "reference.csv", index=False)
    task = "{classes: {round: [dot, ring], edged: [square]}, positive: edged, learn: spellings}"
    (folder / "config.yaml").write_text(CONFIG.format(task=task, members=2))
    train(folder / "config.yaml", out=folder / "run", with_report=False)
    return folder


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("findings")
    for seed, (name, count) in enumerate((("here", 160), ("new", 240), ("reference", 160))):
        write_findings(folder, name, count, seed).to_csv(folder / f"{name}.csv", index=False)
    (folder / "config.yaml").write_text(CONFIG.format(task="{kind: multi, classes: {disc: [disc], square: [square]}}", members=1))
    train(folder / "config.yaml", out=folder / "run", with_report=False)
    return folder


def test_every_network_of_an_ensemble_learns_and_they_decide_together(finer: Path, tmp_path: Path) -> None:
    files = (finer / "run", finer / "new.csv", finer / "reference.csv")
    update(*files, map={"DOT": "dot"}, overrides=[*QUICK, "distillation=0", "l2_sp=0"], out=tmp_path / "out")
    old, new = Model.load(finer / "run" / "model"), Model.load(tmp_path / "out" / "model")
    assert len(new.members) == 2
    assert {each.sha256 for each in new.package.weights}.isdisjoint(each.sha256 for each in old.package.weights)
    assert [each.provenance["sha256"] for each in new.package.weights] == [each.sha256 for each in old.package.weights]
    assert new.package.task == old.package.task
    assert [each.head.out_features for each in new.members] == [3, 3]
    assert new.package.ensemble is not None
    assert new.package.ensemble.groups == new.package.operating_point.n > 0, "validation patients are new, and all of them chose"
    told = json.loads((tmp_path / "out" / "update.json").read_text())
    assert told["released"]
    after = predictions.read(tmp_path / "out" / "after.csv").query("split == 'external'")
    assert (after["predicted"] == after["truth"]).mean() > 0.9


def test_labels_that_say_the_class_alone_teach_the_class(finer: Path, tmp_path: Path) -> None:
    """Of a new place that knows only whether it is round; nothing is known of dots and rings there."""
    new = pd.read_csv(finer / "new.csv", dtype=str)
    new.assign(label=new["label"].replace({"DOT": "round", "ring": "ROUND"})).to_csv(finer / "coarse.csv", index=False)
    files = (finer / "run", finer / "coarse.csv", finer / "reference.csv")
    told = update(*files, map={"ROUND": "round"}, overrides=[*QUICK, "distillation=0", "l2_sp=0"], out=tmp_path / "out")
    assert told["released"]
    after = predictions.read(tmp_path / "out" / "after.csv").query("split == 'external'")
    assert (after["predicted"] == after["truth"]).mean() > 0.9
    rows = records.read(tmp_path / "out" / "records.csv").query("domain == 'new'")
    assert set(rows.loc[rows["label"] == "round", "spelling"]) == {""}
    assert set(rows.loc[rows["label"] == "edged", "spelling"]) == {"square"}, "a class of one kind says which"
    assert [each.head.out_features for each in Model.load(tmp_path / "out" / "model").members] == [3, 3]


def test_some_labels_may_be_finer_than_others(tmp_path: Path) -> None:
    task = Task(classes={"benign": ("nv, junctional", "df"), "malignant": ("mel", "bcc")}, learn="spellings", ignore=("artefact",))
    labels = ["malignant", "mel", "nv, junctional", "NEVUS", "M", "", "artefact"]
    for number in range(len(labels)):
        (tmp_path / f"{number}.png").touch()
    pd.DataFrame({"image": [f"{number}.png" for number in range(len(labels))], "label": labels}).to_csv(tmp_path / "new.csv", index=False)
    given = read_teaching(tmp_path / "new.csv", task, {}, {"NEVUS": "nv, junctional", "M": "malignant"})
    read = given.table.set_index("image")
    classes = ["malignant", "malignant", "benign", "benign", "malignant", ""]
    assert list(read["label"]) == classes
    assert list(read["spelling"]) == ["", "mel", "nv, junctional", "nv, junctional", "", ""]
    assert "2 images have a label that says the class alone: it teaches the class, and not which of its kinds they are" in given.notes
    known = read[read["label"] != ""].reset_index()
    assert learned_targets(known, task, class_alone=True).tolist() == [5, 2, 0, 0, 5]
    with pytest.raises(MedtlError, match="2 images have a corrected class, but no spelling of it"):
        learned_targets(known, task)
    with pytest.raises(MedtlError, match=r"--map M=maligant: the model has no class 'maligant'; did you mean 'malignant'\?"):
        read_teaching(tmp_path / "new.csv", task, {}, {"M": "maligant"})


def test_a_class_without_spellings_is_learned_by_its_name_whatever_is_mapped_to_it(tmp_path: Path) -> None:
    task = Task(classes={"benign": (), "malignant": ("mel", "bcc")}, learn="spellings")
    labels = ["benign", "NV", "mel", "BCC"]
    for number in range(len(labels)):
        (tmp_path / f"{number}.png").touch()
    table = pd.DataFrame({"image": [f"{number}.png" for number in range(len(labels))], "label": labels})
    table.to_csv(tmp_path / "new.csv", index=False)
    read = read_teaching(tmp_path / "new.csv", task, {}, {"NV": "benign", "BCC": "bcc"}).table.set_index("image")
    assert read["spelling"].to_dict() == {"0.png": "benign", "1.png": "benign", "2.png": "mel", "3.png": "bcc"}
    assert read["label"].to_dict() == {"0.png": "benign", "1.png": "benign", "2.png": "malignant", "3.png": "malignant"}


def test_findings_are_kept_and_bettered_with_and_without_each(findings: Path, tmp_path: Path) -> None:
    files = (findings / "run", findings / "new.csv", findings / "reference.csv", findings / "here.csv")
    with pytest.raises(GateRefusal, match="stand in an earlier test or reference set"):
        update(*files, overrides=QUICK, out=tmp_path / "refused")
    taught = pd.read_csv(findings / "run" / "records.csv").query("split in ('train', 'validation')")["image"]
    here = pd.read_csv(findings / "here.csv", dtype=str)
    here[here["image"].isin(taught)].to_csv(findings / "replay.csv", index=False)
    told = update(*files[:3], findings / "replay.csv", overrides=QUICK, out=tmp_path / "out")
    assert told["released"]
    assert set(told["reference"]["recall"]) == {"no disc", "disc", "no square", "square"}
    reference = pd.read_csv(findings / "reference.csv", dtype=str, keep_default_na=False)
    assert told["reference"]["recall"]["no disc"]["images"] == (reference["disc"] == "0").sum()
    new = Model.load(tmp_path / "out" / "model")
    assert new.package.task.kind == "multi"
    assert len(new.package.operating_point.threshold) == 2
    assert set(new.package.training["images"]["train"]) == {"disc", "square"}
    assert told["improvement"]["difference"]["low"] > 0


def test_a_run_is_replayed_without_a_table_of_what_it_learned_from(
    findings: Path, finer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(findings)
    told = update(*("run", "new.csv", "reference.csv", "run"), overrides=QUICK, out=tmp_path / "out", data=".")
    before, now = (records.read(folder / "records.csv") for folder in (findings / "run", tmp_path / "out"))
    taught = before[before["split"].isin(["train", "validation"])].set_index("image")
    replayed = now[now["domain"] == "here"].set_index("image")
    assert set(replayed.index) == set(taught.index), "neither the test images nor others"
    assert set(replayed["split"]) == {"train", "validation"}
    assert told["sets"]["replay"]["images"] == len(taught)
    columns = ["y_disc", "y_square", "patient_id", "sha256"]
    assert replayed.loc[taught.index, columns].equals(taught[columns])
    with pytest.raises(MedtlError, match="teaches disc, square, and the model has learned dot, ring, square; replay the run that it came"):
        update(*(finer / name for name in ("run", "new.csv", "reference.csv")), findings / "run", overrides=QUICK, out=tmp_path / "other")


def test_patients_and_lesions_of_a_replayed_run_are_known_again(finer: Path, tmp_path: Path) -> None:
    """Of a new image of a patient who taught, and with labels finer than the classes."""
    before = records.read(finer / "run" / "records.csv")
    here, new = pd.read_csv(finer / "here.csv", dtype=str), pd.read_csv(finer / "new.csv", dtype=str)
    taught = here[here["image"].isin(before.loc[before["split"] == "train", "image"])]["patient_id"].iloc[0]
    new.loc[0, "patient_id"] = taught
    new.to_csv(finer / "again.csv", index=False)
    sets = read_sets(
        Model.load(finer / "run" / "model"),
        {NEW: finer / "again.csv", REFERENCE: finer / "reference.csv"},
        {},
        {"DOT": "dot"},
        Line(),
        read_taught(load_run(finer / "run"), Model.load(finer / "run" / "model").task, None, Line()),
    )
    rows = sets.rows.assign(role=sets.roles)
    together = rows[rows["group_id"] == rows.loc[rows["image"] == "new/0.png", "group_id"].item()]
    assert set(together["role"]) == {NEW, REPLAY}
    assert rows["group_id"].nunique() == len(rows) - 1, "each other image is of a patient of its own"
    assert set(rows.loc[rows["role"] == REPLAY, "spelling"]) == {"dot", "ring", "square"}


def test_what_a_fold_judged_is_not_replayed(tmp_path: Path) -> None:
    """Of a run over folds all images that any of them learned from, of one fold what this one did."""
    rows = pd.DataFrame({"image": [f"{n}.png" for n in range(8)], "frame": 0, "label": "disc", "group_id": [f"g{n}" for n in range(8)]})
    rows = rows.assign(patient_id=rows["group_id"], group_kind="patient", domain="here", fold=["0", "1"] * 4, split="", sha256="")
    for number in range(8):
        Image.fromarray(np.full((SIDE, SIDE), number, np.uint8)).save(tmp_path / f"{number}.png")
        rows.loc[number, "sha256"] = hashlib.sha256((tmp_path / f"{number}.png").read_bytes()).hexdigest()
    text = CONFIG.format(task="{classes: {disc: [Disc], square: [Square]}}", members=1).replace("test: 0.1", "folds: 2")
    run = tmp_path / "run"
    for fold, splits in enumerate((["test", "train"] * 3 + ["test", "excluded"], ["train", "test"] * 3 + ["validation", "test"])):
        (run / "folds" / str(fold)).mkdir(parents=True)
        records.write(rows.assign(split=splits), run / "folds" / str(fold) / "records.csv")
    records.write(rows, run / "records.csv")
    (run / "experiment.yaml").write_text(text)
    (run / "environment.json").write_text(json.dumps({"format": 1, "data_root": str(tmp_path)}))
    task = Task(classes={"disc": ("another spelling",), "square": ()})

    def replayed(place: Path) -> list[int]:
        return sorted(int(Path(image).stem) for image in read_taught(load_run(place), task, None, Line()).table["image"])

    assert replayed(run / "folds" / "0") == [1, 3, 5]
    assert replayed(run / "folds" / "1") == [0, 2, 4, 6]
    assert replayed(run) == [0, 1, 2, 3, 4, 5, 6]
    (run / "experiment.yaml").write_text(text.replace("domain: here", "domain: here, issuer: St Elsewhere"))
    assert any("St Elsewhere" in note for note in read_taught(load_run(run), task, None, Line()).notes)
    with pytest.raises(MedtlError, match="teaches disc, square, and the model has learned square, disc"):
        read_taught(load_run(run), Task(classes={"square": (), "disc": ()}), None, Line())


def test_a_replayed_run_whose_images_are_gone_or_others_is_refused(findings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(findings, moved)
    taught = records.read(moved / "run" / "records.csv").query("split == 'train'")["image"].iloc[0]
    Image.fromarray(np.zeros((SIDE, SIDE), np.uint8)).save(moved / taught)
    files = [moved / name for name in ("run", "new.csv", "reference.csv", "run")]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MedtlError, match=f"(?s)1 of .* images in .*moved are missing or not the files of .*{taught}"):
        update(*files, overrides=QUICK, out=tmp_path / "out", data="moved")
    with pytest.raises(MedtlError, match="says where the images of a replayed run are, and --replay names none"):
        update(*files[:3], overrides=QUICK, out=tmp_path / "out", data="moved")
    with pytest.raises(MedtlError, match="and --replay typo is no folder"):
        update(*files[:3], "typo", overrides=QUICK, out=tmp_path / "out", data="moved")
    with pytest.raises(MedtlError, match="say where they are now with --data DIR"):
        update(*files, overrides=QUICK, out=tmp_path / "out", data=tmp_path / "nowhere")
    assert not (tmp_path / "out").exists()


def test_without_replay_what_was_said_of_findings_stands_in(findings: Path, tmp_path: Path) -> None:
    files = (findings / "run", findings / "new.csv", findings / "reference.csv")
    still = ["epochs=1", "rate=1e-7", "batch=16", "margin=0.2", QUICK[-1]]
    with pytest.raises(GateRefusal, match="does not exceed 0"):
        update(*files, overrides=still, out=tmp_path / "out")
    before, after = (predictions.read(tmp_path / "out" / f"{name}.csv") for name in ("before", "after"))
    assert np.abs(predictions.logits(before) - predictions.logits(after)).max() < 0.5


def test_too_few_with_or_without_a_finding_are_named(findings: Path, tmp_path: Path) -> None:
    table = pd.read_csv(findings / "reference.csv", dtype=str, keep_default_na=False)
    table.assign(square=table["square"].where(table["square"] != "1", "")).to_csv(findings / "none.csv", index=False)
    with pytest.raises(GateRefusal, match=r"too few reference patients .*: square 0; \d+ of every class are needed"):
        update(findings / "run", findings / "new.csv", findings / "none.csv", overrides=QUICK, out=tmp_path / "out")


def test_rare_classes_are_weighed_as_before(finer: Path) -> None:
    package = Model.load(finer / "run" / "model").package
    assert UpdateSettings().decision(package)["adjust"] == 0
    weighed = adjustment(np.array([[0.7, 0.3], [0.9, 0.1]]), 0.5)
    point = package.operating_point.model_copy(update={"adjusted": weighed})
    adjusted = package.model_copy(update={"operating_point": point})
    assert UpdateSettings().decision(adjusted)["adjust"] == 0.5
    moved = package.model_copy(update={"operating_point": point.model_copy(update={"adjusted": (0.3, -0.2)})})
    with pytest.raises(MedtlError, match="cannot be chosen anew; update the one it was made from"):
        UpdateSettings().decision(moved)
