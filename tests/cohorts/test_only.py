"""Which images are taken: by the table's columns, else by the headers; whatever is left out is counted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from medtl.cohorts import parse_cohort
from medtl.cohorts.joining import read_cohorts
from medtl.errors import Mistakes

from .test_dicom import write_dicom


@pytest.fixture
def ward(tmp_path: Path) -> Path:
    """Five DICOM files, and a table that knows nothing of them but the labels."""
    made = {"PatientAge": "040Y", "StudyDate": "20150301", "InstitutionName": "Clinic North", "Manufacturer": "ACME", "PatientSex": "F"}
    write_dicom(tmp_path / "a.dcm", "1.1", ViewPosition="PA", **made)
    write_dicom(tmp_path / "b.dcm", "1.2", ViewPosition="AP", **{**made, "PatientAge": "012Y", "StudyDate": "20180505"})
    write_dicom(tmp_path / "c.dcm", "1.3", ViewPosition="LATERAL", **made)
    write_dicom(tmp_path / "d.dcm", "1.4", **made)
    write_dicom(tmp_path / "e.dcm", "1.5", ViewPosition="PA", PatientBirthDate="19500101", AcquisitionDate="20200101")
    rows = "".join(
        f"{name}.dcm,{label},{'s1' if name in 'ac' else name}\n" for name, label in zip("abcde", ["NORMAL", "PNA"] * 3, strict=False)
    )
    (tmp_path / "t.csv").write_text("image,label,study_id\n" + rows)
    return tmp_path


TABLE = {"name": "csv", "table": "t.csv", "rows": "all"}


def taken(source: Any) -> str:
    return "".join(image[0] for image in source.table["image"])


def test_views_are_chosen_by_the_header_and_the_rest_is_counted(ward: Path, plan: Callable[..., Any]) -> None:
    source = read_cohorts(plan({**TABLE, "only": {"view": ["PA", "AP"]}}), ward)
    assert taken(source) == "abe"
    assert "default: 2 images left out by only.view (LATERAL 1, unknown 1)" in source.notes
    assert (
        taken(read_cohorts(plan({**TABLE, "only": {"view": ["LATERAL", None]}}, classes={"normal": "NORMAL", "pna": "PNA"}), ward)) == "cd"
    )


@pytest.mark.parametrize(
    ("only", "left"),
    [
        ({"age": [18, 65]}, "acd"), ({"age": [0, 18]}, "b"), ({"age": [70, 70]}, "e"), ({"date": ["2015-01-01", "2018-12-31"]}, "abcd"),
        ({"site": "clinic north", "view": "AP"}, "b"), ({"modality": "DX", "device": ["ACME", ""]}, "abcde"),
    ],
)  # fmt: skip
def test_ranges_and_other_facts(ward: Path, plan: Callable[..., Any], only: dict[str, Any], left: str) -> None:
    assert taken(read_cohorts(plan({**TABLE, "only": only}), ward, every_class=False)) == left


def test_a_study_is_judged_by_the_images_that_are_taken(ward: Path, plan: Callable[..., Any]) -> None:
    """One study has a frontal and a lateral image: `rows: refuse` has nothing to refuse once the lateral one is left out."""
    strict = {**TABLE, "rows": "refuse"}
    with pytest.raises(Mistakes, match="1 study has several images"):
        read_cohorts(plan(strict), ward)
    assert taken(read_cohorts(plan({**strict, "only": {"view": ["PA", "AP"]}}), ward)) == "abe"
    assert taken(read_cohorts(plan({**strict, "rows": "frontal"}), ward)) == "abe"


def test_the_tables_own_column_goes_before_the_header(ward: Path, plan: Callable[..., Any]) -> None:
    (ward / "t.csv").write_text("image,label,view\na.dcm,NORMAL,LATERAL\nb.dcm,PNA,\nc.dcm,NORMAL,PA\nd.dcm,PNA,AP\ne.dcm,PNA,odd one\n")
    source = read_cohorts(plan({**TABLE, "only": {"view": ["PA", "AP"]}}, keep=["view"]), ward)
    assert dict(zip(taken(source), source.table["view"], strict=True)) == {"b": "AP", "c": "PA", "d": "AP"}


def test_facts_are_kept_for_tables_and_folders_of_dicom_files(ward: Path, plan: Callable[..., Any], measured: Callable[..., Any]) -> None:
    keep = ["age", "sex", "view", "modality", "device", "site", "date"]
    experiment = plan(TABLE, keep=keep, validation=0.3, test=0.3, seed=5)
    source = read_cohorts(experiment, ward)
    rows = source.table.set_index("image")
    assert rows.loc["b.dcm", keep].tolist() == ["12", "F", "AP", "DX", "ACME", "Clinic North", "2018-05-05"]
    assert rows.loc["e.dcm", keep].tolist() == ["70", "", "PA", "DX", "", "", "2020-01-01"]
    assert "19500101" not in source.table.to_csv()
    (ward / "NORMAL").mkdir()
    (ward / "a.dcm").rename(ward / "NORMAL/a.dcm")
    folders = read_cohorts(plan({"name": "folders"}, keep=["age"]), ward, every_class=False)
    assert folders.table["age"].tolist() == ["40"]


def test_what_no_table_and_no_header_says_is_a_mistake(touch: Callable[..., None], tmp_path: Path, plan: Callable[..., Any]) -> None:
    touch("NORMAL/a.png", "PNEUMONIA/b.png")
    for column, expected in (("view", "neither the table nor the images' headers say 'view'"), ("vew", "did you mean 'view'?")):
        with pytest.raises(Mistakes) as refusal:
            read_cohorts(plan({"name": "folders", "only": {column: ["PA"]}}), tmp_path)
        assert expected in str(refusal.value)


def test_taking_nothing_is_a_mistake_that_shows_what_there_is(ward: Path, plan: Callable[..., Any]) -> None:
    with pytest.raises(Mistakes) as refusal:
        read_cohorts(plan({**TABLE, "only": {"view": ["LL"]}}), ward)
    assert "only.view: no image is left; none is LL (PA 2, AP 1, LATERAL 1, unknown 1)" in str(refusal.value)


def test_values_of_other_columns_stay_unsaid(ward: Path, plan: Callable[..., Any]) -> None:
    (ward / "t.csv").write_text("image,label,ward\n" + "".join(f"{name}.dcm,NORMAL,ZZCANARY {name}\n" for name in "abcd") + "e.dcm,PNA,\n")
    with pytest.raises(Mistakes) as refusal:
        read_cohorts(plan({**TABLE, "only": {"ward": ["x"]}}), ward)
    assert "5 images left out" not in str(refusal.value)
    assert "ZZCANARY" not in str(refusal.value)
    source = read_cohorts(plan({**TABLE, "only": {"ward": ["ZZCANARY a"]}}), ward, every_class=False)
    assert [note for note in source.notes if "only" in note] == ["default: 4 images left out by only.ward (1 of them unknown)"]


@pytest.mark.parametrize(
    ("only", "told"),
    [
        ({"age": [40]}, "no range"), ({"age": [40, 20]}, "no range"), ({"age": ["old", 90]}, "no range"),
        ({"date": ["2015", "2016"]}, "no range"),
        ({"view": []}, "is empty"), (["PA"], "is no choice of images"),
    ],
)  # fmt: skip
def test_choices_that_make_no_sense_are_refused(only: Any, told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        parse_cohort({**TABLE, "only": only})
