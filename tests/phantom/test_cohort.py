"""The cohort: rows with ids and kept columns, one group a patient, refusals in words, settings that survive a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from medtl.cohorts.joining import read_cohorts
from medtl.cohorts.splitting import make_records
from medtl.errors import MedtlError
from medtl.experiment.load import load_experiment
from medtl.experiment.schema import Experiment
from medtl.imaging.store import open_store
from medtl.phantom.truth import read_truth
from medtl.records import KEY

ROOT = Path(__file__).parents[2]


def experiment(*cohorts: dict[str, Any], **changed: Any) -> Experiment:
    classes = {"normal": ["normal"], "pneumonia": ["pneumonia"]}
    made = [{"name": "phantom", "kind": "chest", "patients": 16, "size": 48, **cohort} for cohort in cohorts or ({},)]
    return Experiment.model_validate(
        {"name": "t", "task": {"classes": classes}, "cohorts": made, "keep": ["age", "sex", "view"], "image": {"size": 32}, **changed}
    )


def records(plan: Experiment, root: Path, cache: Path) -> Any:
    source = read_cohorts(plan, root)
    store = open_store(source.table[KEY], root, plan.image, cache)
    return make_records(source.table, store.measurements, plan, root), source.notes


def test_records_are_grouped_by_patient_over_two_hospitals(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    plan = experiment({"hospital": "a"}, {"hospital": "b"}, split={"by": "patient", "column": "split"})
    rows, notes = records(plan, tmp_path / "data", tmp_path / "cache")
    assert rows.groupby("domain")["patient_id"].nunique().to_dict() == {"synthetic-a": 16, "synthetic-b": 16}
    assert rows["group_id"].nunique() == 32
    assert (rows["group_kind"] == "patient").all()
    assert (rows.groupby("group_id")["split"].nunique() == 1).all()
    assert set(rows["split"]) == {"train", "validation", "test"}
    assert set(rows["view"]) == {"PA", "AP"}
    assert rows["age"].astype(int).between(18, 95).all()
    assert set(rows["sex"]) == {"F", "M"}
    assert any("synthetic images, made by medtl" in note for note in notes)
    assert "SYN-" not in rows.to_csv(), "raw ids do not enter records, not even made ones"


def test_truth_joins_records_by_image(tmp_path: Path) -> None:
    source = read_cohorts(experiment(), tmp_path)
    folder = next(tmp_path.glob("phantom-chest-*"))
    truth = read_truth(folder).drop_duplicates("image")
    joined = source.table.merge(truth.assign(image=folder.name + "/" + truth["image"]), on="image", suffixes=("", "_true"))
    assert len(joined) == len(source.table) == len(truth)
    assert (joined["label"] == joined["truth"]).all()


def test_a_patient_in_two_splits_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    plan = experiment({"faults": {"two_splits": 0.5}}, split={"by": "patient", "column": "split"})
    with pytest.raises(MedtlError, match="groups stand in two splits"):
        records(plan, tmp_path / "data", tmp_path / "cache")


def test_broken_files_are_quarantined_and_copies_tied_together(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    plan = experiment({"faults": {"broken": 0.15, "duplicates": 0.15}}, split={"test": 0, "validation": 0.4})
    rows, _ = records(plan, tmp_path / "data", tmp_path / "cache")
    truth = read_truth(next((tmp_path / "data").glob("phantom-*"))).drop_duplicates("image")
    assert (rows["split"] == "excluded").sum() == truth["faults"].str.contains("truncated|no pixel data").sum() > 2
    copies = truth["faults"].str.contains("copy of").sum()
    shared = rows.groupby("group_id")["patient_id"].nunique()
    assert (shared - 1).sum() == copies > 2


def test_lesions_come_with_their_ids(tmp_path: Path) -> None:
    plan = load_experiment(ROOT / "configs" / "phantom_lesions.yaml", ["cohorts.0.size=48", "cohorts.1.size=48", "cohorts.1.patients=10"])
    table = read_cohorts(plan, tmp_path).table
    assert table["lesion_id"].ne("").all()
    assert table["lesion_id"].nunique() > table["patient_id"].nunique()
    assert set(table["label"]) == set(plan.task.names)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"domain": "st-mary"}, "must have 'synthetic' in it"),
        ({"kind": "knee"}, "chest"),
        ({"rarity": 3.0}, "rarity does not belong to kind: chest"),
        ({"patients": 0}, "greater than or equal to 1"),
        ({"faults": {"makrer": 1}}, "makrer"),
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        experiment(wrong)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MedtlError, match="there is no folder 'absent' in the data root"):
        read_cohorts(experiment({"folder": "absent"}), tmp_path)
    with pytest.raises(MedtlError, match="lies outside the data root"):
        read_cohorts(experiment({"folder": "../else"}), tmp_path)


def test_settings_survive_a_file() -> None:
    plan = experiment({"hospital": "b", "faults": {"marker": 0.9}}, {"domain": "synthetic-again"})
    assert [cohort.domain for cohort in plan.cohorts] == ["synthetic-b", "synthetic-again"]
    again = Experiment.model_validate(yaml.safe_load(yaml.safe_dump(plan.model_dump(mode="json", by_alias=True))))
    assert again == plan
