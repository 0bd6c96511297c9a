"""Several findings per image (`task.kind: multi`): tables as they are written, records, splits, fractions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from medtl import findings, records
from medtl.cohorts import parse_cohort, unfit
from medtl.cohorts.joining import read_cohorts
from medtl.cohorts.splitting import make_records, split_notes
from medtl.contracts import Task
from medtl.errors import MedtlError, Mistakes

TASK = Task(kind="multi", classes={"edema": ["Edema"], "nodule": ["Lung Nodule"]})
CSV = {"name": "csv", "table": "t.csv", "unlisted": "exclude"}


def read(plan: Callable[..., Any], root: Path, *cohorts: dict[str, Any], task: Task = TASK, **split: Any) -> Any:
    made = plan(*cohorts, **split)
    return read_cohorts(made.__class__(task, made.cohorts, made.keep, made.split), root)


def cells(table: pd.DataFrame) -> list[list[str]]:
    return table[["y_edema", "y_nodule", "label"]].to_numpy().tolist()


def test_a_column_per_finding(tmp_path: Path, plan: Callable[..., Any], touch: Callable[..., None]) -> None:
    touch(*(f"{n}.png" for n in range(5)))
    rows = ["0.png,1.0,0", "1.png,-1,1", "2.png,,0.0", "3.png,0,0", "4.png,,-1"]
    (tmp_path / "t.csv").write_text("\n".join(["image,Edema,Lung Nodule", *rows]))
    source = read(plan, tmp_path, {**CSV, "uncertain": [-1]})
    assert cells(source.table) == [["1", "0", "edema"], ["", "1", "nodule"], ["", "0", "none"], ["0", "0", "none"], ["", "", ""]]
    assert "default: 1 image without a label: kept in records, not trained on" in source.notes
    assert source.notes[-1].endswith("left out of the class alone: edema 2, nodule 0")


def test_one_column_joins_findings(tmp_path: Path, plan: Callable[..., Any], touch: Callable[..., None]) -> None:
    touch(*(f"{n}.png" for n in range(4)))
    (tmp_path / "t.csv").write_text("image,Found\n0.png,Edema|Lung Nodule\n1.png,No Finding\n2.png,edema|Hernia\n3.png,\n")
    task = Task(kind="multi", classes=TASK.classes, ignore=("No Finding", "Hernia"))
    source = read(plan, tmp_path, {**CSV, "label": "Found"}, task=task)
    assert cells(source.table) == [["1", "1", "edema|nodule"], ["0", "0", "none"], ["1", "0", "edema"], ["", "", ""]]
    with pytest.raises(Mistakes, match=r"1 row with the finding 'Hernia', which is no spelling of a class and not in task.ignore"):
        read(plan, tmp_path, {**CSV, "label": "Found"}, task=Task(kind="multi", classes=TASK.classes, ignore=("No Finding",)))


def test_what_is_no_label_is_told(tmp_path: Path, plan: Callable[..., Any], touch: Callable[..., None]) -> None:
    touch("0.png", "1.png")
    (tmp_path / "t.csv").write_text("image,Edema,Lung Nodul\n0.png,1,0\n1.png,0,1\n")
    with pytest.raises(Mistakes, match=r"the class 'nodule' has no column \('Lung Nodule' or 'nodule'\); did you mean 'Lung Nodul'\?"):
        read(plan, tmp_path, CSV)
    (tmp_path / "t.csv").write_text("image,Edema,nodule\n0.png,yes,0\n1.png,0,1\n")
    with pytest.raises(Mistakes, match=r"1 row with 'yes' for the class 'edema'; allowed: 1, 0 or nothing"):
        read(plan, tmp_path, CSV)
    (tmp_path / "t.csv").write_text("image,Edema,nodule\n0.png,0,0\n1.png,0,1\n")
    with pytest.raises(Mistakes, match=r"no image with 'edema' in any cohort \(with 0, without 2, not known 0\)"):
        read(plan, tmp_path, CSV)


def test_several_rows_of_one_image_must_agree(tmp_path: Path, plan: Callable[..., Any], touch: Callable[..., None]) -> None:
    touch("0.png", "1.png")
    (tmp_path / "t.csv").write_text("image,Edema,nodule\n0.png,1,0\n0.png,1,1\n1.png,0,1\n")
    with pytest.raises(Mistakes, match=r"2 rows of one image disagree in nodule"):
        read(plan, tmp_path, {**CSV, "rows": "all"})


def test_an_npz_with_a_row_of_labels_per_image(tmp_path: Path, plan: Callable[..., Any]) -> None:
    labels = np.array([[0, 1, 0], [1, 0, 1], [1, 1, 0]])
    np.savez(tmp_path / "set.npz", train_images=np.zeros((3, 4, 4), np.uint8), train_labels=labels)
    task = Task(kind="multi", classes={"edema": [2], "nodule": [0]})
    source = read(plan, tmp_path, {"name": "medmnist", "file": "set.npz"}, task=task)
    assert cells(source.table) == [["0", "0", "none"], ["1", "1", "edema|nodule"], ["0", "1", "nodule"]]
    with pytest.raises(Mistakes, match=r"the class 'edema' has no column \('7' or 'edema'\)"):
        read(plan, tmp_path, {"name": "medmnist", "file": "set.npz"}, task=Task(kind="multi", classes={"edema": [7], "nodule": [0]}))


def test_the_task_and_its_cohorts_are_checked() -> None:
    for wrong, said in (
        ({"positive": "edema"}, "no meaning with several findings"),
        ({"classes": {"none": [], "edema": []}}, "no finding"),
        ({"classes": {"edema": [], "no edema": []}}, "is what images without 'edema' are called"),
    ):
        with pytest.raises(ValidationError, match=said):
            Task(**{"kind": "multi", "classes": TASK.classes, **wrong})
    assert TASK.positive_index is None
    assert [mistake.value for mistake in unfit([parse_cohort({"name": "folders"})], "multi")] == ["folders"]
    assert unfit([parse_cohort({"name": "folders"})], "single") == []


@pytest.fixture
def many(tmp_path: Path, plan: Callable[..., Any], touch: Callable[..., None], measured: Callable[..., pd.DataFrame]) -> Callable[..., Any]:
    """Records of 240 images of 80 patients, findings of 50 % and 10 %, some unknown; keywords are of the split."""
    touch(*(f"{n}.png" for n in range(240)))
    random = np.random.default_rng(0)
    found = (random.random((240, 2)) < (0.5, 0.1)).astype(int).astype(str)
    found[random.random((240, 2)) < 0.1] = ""
    rows = [f"{n}.png,p{n // 3},{edema},{nodule}" for n, (edema, nodule) in enumerate(found)]
    (tmp_path / "t.csv").write_text("\n".join(["image,who,Edema,nodule", *rows]))

    def make(seed: int = 0, **split: Any) -> tuple[pd.DataFrame, Any]:
        made = plan({**CSV, "patient": "who"}, **split)
        own = made.__class__(TASK, made.cohorts, (), made.split, seed)
        table = read_cohorts(own, tmp_path).table
        return make_records(table, measured(table), own, tmp_path), own

    return make


def test_records_round_trip_and_equal_the_table(many: Callable[..., Any], tmp_path: Path) -> None:
    made, plan = many()
    records.write(made, tmp_path / "records.csv")
    header = (tmp_path / "records.csv").read_text().splitlines()[0]
    assert header == "image,frame,sha256,y_edema,y_nodule,patient_id,group_id,group_kind,domain,split,fold"
    again = records.read(tmp_path / "records.csv")
    pd.testing.assert_frame_equal(again[made.columns.tolist()], made.sort_values(records.KEY, ignore_index=True), check_dtype=False)
    assert set(made.loc[made["label"] == "", "split"]) <= {"excluded"}
    given = pd.read_csv(tmp_path / "t.csv", dtype=str, keep_default_na=False).set_index("image")
    assert made.set_index("image")["y_edema"].to_dict() == given["Edema"].to_dict()
    assert all("the class 'nodule'" in note for note in split_notes(made, plan.task)), "of 10 % of the images, chance moves it most"


def test_a_fraction_keeps_both_sides_of_every_finding(many: Callable[..., Any]) -> None:
    whole, parts = many()[0], [many(fraction=share)[0] for share in (0.1, 0.4)]
    kept = [set(part.loc[part["split"] == "train", "group_id"]) for part in parts]
    assert kept[0] < kept[1] < set(whole.loc[whole["split"] == "train", "group_id"])
    smallest = parts[0][parts[0]["split"] == "train"]
    for column in findings.columns_of(smallest):
        for value in ("0", "1"):
            assert smallest.loc[smallest[column] == value, "group_id"].nunique() >= 2
    assert (parts[0]["split"] == "test").tolist() == (whole["split"] == "test").tolist()


def test_shuffled_findings_stay_together(many: Callable[..., Any]) -> None:
    given, dealt = many()[0], many(labels="shuffled")[0]
    own = ["label", "y_edema", "y_nodule"]
    assert given[own].value_counts().to_dict() == dealt[own].value_counts().to_dict()
    assert (given[own] != dealt[own]).any(axis=1).mean() > 0.3


def test_a_finding_that_is_everywhere_known_absent_in_a_split_is_refused(many: Callable[..., Any]) -> None:
    with pytest.raises(Mistakes, match=r"no image with 'nodule' in validation"):
        many(validation=0.01, test=0.3)


@given(st.lists(st.lists(st.sampled_from([0.0, 1.0, float("nan")]), min_size=3, max_size=3), min_size=1, max_size=6))
def test_words_say_all_that_is_known(rows: list[list[float]]) -> None:
    classes, truth = ("a", "b c", "d"), np.array(rows)
    again = findings.from_words(findings.words(truth, classes), findings.unknown_words(truth, classes), classes)
    np.testing.assert_array_equal(again, truth)
    table = pd.DataFrame(np.where(np.isnan(truth), "", (truth == 1).astype(int).astype(str)), columns=findings.columns(classes))
    np.testing.assert_array_equal(findings.numbers(table, classes), truth)


def test_a_kept_column_may_not_look_like_a_finding(tmp_path: Path, plan: Callable[..., Any], touch: Callable[..., None]) -> None:
    touch("0.png", "1.png")
    (tmp_path / "t.csv").write_text("image,label,y_pos\n0.png,NORMAL,1\n1.png,PNA,2\n")
    with pytest.raises(Mistakes, match=r"keep: 'y_pos' is how records call a finding"):
        read_cohorts(plan({**CSV}, keep=["y_pos"]), tmp_path)
    (tmp_path / "records.csv").write_text("image,frame,label,y_pos\n0.png,0,normal,1\n")
    with pytest.raises(MedtlError, match=r"columns called as findings are \(y_pos\)"):
        records.read(tmp_path / "records.csv")
