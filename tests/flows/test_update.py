"""`medtl update` on made pictures: what is released, what is refused, and what either leaves behind."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from medtl import records
from medtl.errors import GateRefusal, MedtlError
from medtl.flows.train import train
from medtl.flows.update import update
from medtl.flows.update_evidence import HELD_OUT, answered
from medtl.flows.update_sets import half_each
from medtl.flows.update_settings import UpdateSettings
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
transfer: {strategy: scratch, epochs: 5, batch: 16, rate: 0.003}
decision: {gate: {refuse: 0}}
trainer: {device: cpu, threads: 1, precision: float32}
"""
QUICK = ["epochs=8", "margin=0.08", "batch=16", "rate=0.002", "trainer={device: cpu, threads: 1, precision: float32}"]


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
    write_pictures(folder, "here", 300, 0)
    write_pictures(folder, "reference", 320, 1)
    write_pictures(folder, "dark", 260, 2, dark=True)
    write_pictures(folder, "flipped", 260, 2, dark=True, flipped=0.3)
    write_pictures(folder / "elsewhere", "few", 40, 6)
    (folder / "config.yaml").write_text(CONFIG)
    return folder


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained here; `replay.csv` names what it learned from, `test.csv` what it did not."""
    folder = train(data / "config.yaml", out=tmp_path_factory.mktemp("runs") / "run", with_report=False).folder
    rows, table = records.read(folder / "records.csv"), pd.read_csv(data / "here.csv")
    for name, wanted in (("replay.csv", ("train", "validation")), ("test.csv", ("test",))):
        table[table["image"].isin(rows.loc[rows["split"].isin(wanted), "image"])].to_csv(data / name, index=False)
    return folder


@pytest.fixture(scope="module")
def updated(run: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    """The folder of an update to the dark device, and the old package's files as they were before."""
    before, out = files(run / "model"), tmp_path_factory.mktemp("updates") / "dark"
    update(run, data / "dark.csv", data / "reference.csv", data / "replay.csv", overrides=QUICK, out=out)
    return out, before


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def content(folder: Path) -> dict:
    return json.loads((folder / "update.json").read_text())


def refused(folder: Path) -> dict:
    """What a refusal leaves: the evidence, and no model, nor anything of its making."""
    assert not [path.name for path in folder.iterdir() if path.is_dir()]
    found = content(folder)
    assert found["released"] is False
    return found


def test_good_labels_of_another_device_are_released_beside_the_old_model(run: Path, updated: tuple[Path, dict[str, bytes]]) -> None:
    out, before = updated
    found, old, new = content(out), Model.load(run / "model"), Model.load(out / "model")
    assert found["released"]
    assert found["reference"]["shown"]
    assert min(each["low"] for each in found["reference"]["recall"].values()) > -0.08
    assert found["improvement"]["difference"]["low"] > 0
    assert files(run / "model") == before
    assert found["fingerprint"] == new.fingerprint != old.fingerprint
    assert new.package.lineage["parent"] == {"name": "shapes", "fingerprint": old.fingerprint} == found["parent"]
    assert new.package.lineage["sets"] == {role: told["sha256"] for role, told in found["sets"].items()}
    assert old.fingerprint[:12] in (out / "model" / "card.md").read_text()


def test_who_teaches_chooses_and_judges_are_other_patients_and_are_remembered(run: Path, updated: tuple[Path, dict[str, bytes]]) -> None:
    rows = records.read(updated[0] / "records.csv")
    assert rows.groupby("group_id")["split"].nunique().max() == 1
    assert set(rows.loc[rows["domain"] == "reference", "split"]) == {"external"}
    assert set(rows.loc[rows["domain"] == "replay", "split"]) == {"train", "validation"}
    assert set(rows.loc[rows["domain"] == "new", "split"]) == {"train", "validation", "test"}
    ancestry, seen, older = read_ancestry(updated[0] / "model"), read_seen(updated[0] / "model"), read_seen(run / "model")
    assert ancestry is not None
    assert (older or frozenset()) < (seen or frozenset())
    own = rows["split"].isin(["test", "external"]).sum()
    assert len(ancestry.judged_images) == own + (records.read(run / "records.csv")["split"] == "test").sum()


def test_wrong_labels_are_refused_though_the_network_learns_through_them(run: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(GateRefusal, match=r"the share of labels that it contradicts, new - reference, is .* at most 0\.2 must be shown"):
        update(run, data / "flipped.csv", data / "reference.csv", data / "replay.csv", overrides=QUICK, out=tmp_path / "out")
    found = refused(tmp_path / "out")
    assert not found["labels"]["shown"]
    assert found["labels"]["contradicted_more"]["high"] > 0.2
    assert found["reason"].index("contradicts") < found["reason"].index("Shown is: no recall falls")
    assert {"before.csv", "after.csv", "records.csv"} <= {path.name for path in (tmp_path / "out").iterdir()}


def test_without_replay_the_old_answers_stand_in_and_a_loss_is_refused(run: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(GateRefusal, match=r"does not exceed 0|may fall"):
        update(run, data / "flipped.csv", data / "reference.csv", overrides=["epochs=1", *QUICK[1:]], out=tmp_path / "out")
    assert "replay" not in refused(tmp_path / "out")["sets"]


def test_what_has_judged_judges_and_teaches_no_more(updated: tuple[Path, dict[str, bytes]], data: Path, tmp_path: Path) -> None:
    model = updated[0] / "model"
    for new, reference in (("elsewhere/few", "reference"), ("reference", "elsewhere/few"), ("test", "elsewhere/few")):
        with pytest.raises(GateRefusal, match="stand in an earlier test or reference set of this model's lineage"):
            update(model, data / f"{new}.csv", data / f"{reference}.csv", overrides=QUICK, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_taught_is_no_reference_nor_is_a_patient_who_teaches_now(run: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(GateRefusal, match="of the reference taught the model"):
        update(run, data / "dark.csv", data / "replay.csv", overrides=QUICK, out=tmp_path / "out")
    table = pd.read_csv(data / "elsewhere/few.csv")
    table.assign(image="reference/" + table.index.astype(str).str.zfill(3) + ".png").to_csv(data / "same.csv", index=False)
    with pytest.raises(GateRefusal, match="40 images of 40 patients of the reference are also among the new"):
        update(run, data / "elsewhere/few.csv", data / "same.csv", overrides=QUICK, out=tmp_path / "out")


def test_too_few_are_refused_before_anything_is_trained(run: Path, data: Path, tmp_path: Path) -> None:
    sentence = "too few reference patients .*: disc 20, square 20; 58 of every class are needed"
    with pytest.raises(GateRefusal, match=sentence) as caught:
        update(run, data / "dark.csv", data / "elsewhere/few.csv", overrides=QUICK, out=tmp_path / "out")
    assert caught.value.exit_code == 3
    assert refused(tmp_path / "out")["sets"]["reference"]["patients"] == 40
    assert not (tmp_path / "out" / "log.jsonl").exists()


def test_each_table_may_call_its_columns_as_it_does(run: Path, data: Path, tmp_path: Path) -> None:
    pd.read_csv(data / "dark.csv").rename(columns={"label": "finding"}).to_csv(data / "named.csv", index=False)
    with pytest.raises(GateRefusal, match="too few reference patients"):
        update(run, data / "named.csv", data / "elsewhere/few.csv", column={"label": "finding"}, overrides=QUICK, out=tmp_path / "out")
    assert refused(tmp_path / "out")["sets"]["new"]["images"] == 260
    with pytest.raises(MedtlError, match=r"--column label=findings: 'named\.csv' has no such column"):
        update(run, data / "named.csv", data / "reference.csv", column={"label": "findings"}, overrides=QUICK, out=tmp_path / "other")


def test_how_many_get_an_answer_is_said_for_either_set() -> None:
    shares = {
        "reference": {"before": {"answered": 1.0}, "after": {"answered": 0.0}},
        HELD_OUT: {"before": {"answered": 0.5}, "after": {"answered": 0.5}},
    }
    assert answered(shares).endswith("reference 100 %, then 0 %; new, held out 50.0 %, then 50.0 %")


def test_labels_given_after_the_answer_was_seen_teach_only_if_proven(run: Path, data: Path, tmp_path: Path) -> None:
    table = pd.read_csv(data / "dark.csv")
    seen = table.assign(
        seen_model=["true"] * 100 + ["no"] * (len(table) - 100), basis=["Histology"] * 10 + ["radiologist"] * (len(table) - 10)
    )
    seen.to_csv(data / "prompted.csv", index=False)
    with pytest.raises(GateRefusal, match="too few reference patients"):
        update(run, data / "prompted.csv", data / "elsewhere/few.csv", overrides=QUICK, out=tmp_path / "out")
    told = refused(tmp_path / "out")["sets"]["new"]
    assert told["left_out_seen_model"] == 90
    assert told["images"] == len(table) - 90
    seen.assign(seen_model="perhaps").to_csv(data / "prompted.csv", index=False)
    with pytest.raises(MedtlError, match="seen_model holds perhaps; allowed: true, false, or empty"):
        update(run, data / "prompted.csv", data / "elsewhere/few.csv", overrides=QUICK, out=tmp_path / "other")


def test_a_rule_with_a_number_has_to_be_said_again(run: Path) -> None:
    package = Model.load(run / "model").package
    assert UpdateSettings().decision(package)["threshold"] == "youden"
    strict = package.model_copy(update={"operating_point": package.operating_point.model_copy(update={"rule": "sensitivity >= 0.95"})})
    with pytest.raises(MedtlError, match=r"chosen by 'sensitivity >= 0\.95', .* say by which rule"):
        UpdateSettings().decision(strict)
    said = UpdateSettings.of(["threshold={name: sensitivity, at_least: 0.95}"])
    assert said.decision(strict)["threshold"] == said.threshold


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [("epoch=3", "did you mean 'epochs'"), ("margin=0", "margin"), ("improves=accuracy", "improves"), ("batch_norm=thaw", "batch_norm")],
)
def test_a_wrong_setting_is_told_in_a_sentence(run: Path, data: Path, tmp_path: Path, setting: str, sentence: str) -> None:
    with pytest.raises(MedtlError, match=sentence):
        update(run, data / "dark.csv", data / "reference.csv", overrides=[setting], out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_both_domains_are_drawn_half_each() -> None:
    roles = np.array(["new"] * 3 + ["replay"] * 7, object)
    weights = half_each(roles)
    assert weights is not None
    assert weights[roles == "new"].sum() == pytest.approx(weights[roles == "replay"].sum())
    assert half_each(roles[:3]) is None
