"""Several cohorts as one table; what may not enter it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medtl.cohorts.joining import UNITS, read_cohorts
from medtl.errors import MedtlError, Mistakes


@pytest.fixture
def two(tmp_path: Path, touch: Callable[..., None]) -> Path:
    touch("a/NORMAL/1.png", "a/PNEUMONIA/2.png", "b/3.png", "b/4.png")
    (tmp_path / "b/t.csv").write_text("image,label,who,age\n3.png,PNA,007,61\n4.png,NORMAL,8,\n")
    return tmp_path


A = {"name": "folders", "folder": "a", "domain": "children", "patient": {"from": "filename", "pattern": r"(\d)"}}
B = {"name": "csv", "folder": "b", "table": "t.csv", "domain": "adults", "patient": "who"}


def test_cohorts_are_joined_with_a_domain_each(two: Path, plan: Callable[..., Any]) -> None:
    table = read_cohorts(plan(A, B, keep=["age"]), two).table
    assert table[["image", "label", "domain", "age"]].to_numpy().tolist() == [
        ["a/NORMAL/1.png", "normal", "children", ""],
        ["a/PNEUMONIA/2.png", "pneumonia", "children", ""],
        ["b/3.png", "pneumonia", "adults", "61"],
        ["b/4.png", "normal", "adults", ""],
    ]


def test_raw_ids_do_not_reach_the_table(two: Path, plan: Callable[..., Any]) -> None:
    table = read_cohorts(plan(B), two).table
    assert not table.drop(columns="image").isin(["007", "8"]).any(axis=None)
    assert table["patient_id"].str.fullmatch("[0-9a-f]{16}").all()
    assert table[UNITS].map(len).isin([0, 64]).all(axis=None)


def test_equal_ids_are_one_patient_unless_the_issuers_differ(two: Path, plan: Callable[..., Any]) -> None:
    (two / "b/t.csv").write_text("image,label,who\n3.png,PNA,1\n4.png,NORMAL,8\n")
    ids = read_cohorts(plan(A, B), two).table.set_index("image")["patient_id"]
    assert ids["a/NORMAL/1.png"] == ids["b/3.png"]
    ids = read_cohorts(plan(A, {**B, "issuer": "other hospital"}), two).table.set_index("image")["patient_id"]
    assert ids["a/NORMAL/1.png"] != ids["b/3.png"]


def test_mistakes_of_all_cohorts_are_told_at_once(two: Path, plan: Callable[..., Any], touch: Callable[..., None]) -> None:
    touch("a/UNKNOWN/5.png")
    (two / "b/t.csv").write_text("image,label,who\n3.png,PNA,1\n4.png,NORMAL,8\n9.png,NORMAL,8\n")
    with pytest.raises(Mistakes) as refusal:
        read_cohorts(plan(A, B), two)
    assert len(refusal.value.mistakes) == 2
    assert refusal.value.mistakes[0].startswith("children: 1 row with the label 'UNKNOWN'")
    assert refusal.value.mistakes[1].startswith("adults: 1 row without an image")


def test_one_image_in_two_cohorts_is_refused(two: Path, plan: Callable[..., Any]) -> None:
    with pytest.raises(Mistakes, match=r"4 rows repeat an image: a/NORMAL/1.png, a/PNEUMONIA/2.png"):
        read_cohorts(plan(A, {**A, "domain": "again"}), two)


def test_a_class_without_images_is_refused(two: Path, plan: Callable[..., Any]) -> None:
    classes = {"normal": ["NORMAL"], "pneumonia": ["PNEUMONIA", "PNA"], "covid": ["COVID"]}
    with pytest.raises(Mistakes, match=r"the class 'covid' \(spellings: COVID\) has no image; found: normal 1, pneumonia 1"):
        read_cohorts(plan(A, classes=classes), two)


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        (["who"], "keep: 'who' is a raw id"),
        (["label"], "keep: 'label' is a name that records use"),
        (["aeg"], "no cohort has a column 'aeg'; did you mean 'age'"),
        (["patient_name"], "names, birth dates and free text"),
    ],
)
def test_what_may_not_be_kept_is_refused(two: Path, plan: Callable[..., Any], keep: list[str], message: str) -> None:
    with pytest.raises(MedtlError, match=message):
        read_cohorts(plan(A, B, keep=keep), two)


def test_given_splits_are_checked(two: Path, plan: Callable[..., Any]) -> None:
    (two / "b/t.csv").write_text("image,label,who,part\n3.png,PNA,1,Training\n4.png,NORMAL,8,val\n")
    assert read_cohorts(plan(B, column="part"), two).table["given_split"].tolist() == ["train", "validation"]
    (two / "b/t.csv").write_text("image,label,who,part\n3.png,PNA,1,trian\n4.png,NORMAL,8,\n")
    with pytest.raises(Mistakes, match=r"'trian' is no split; did you mean 'train'\?; .*rows: line 2"):
        read_cohorts(plan(B, column="part"), two)
    with pytest.raises(Mistakes, match="no column 'prt'; did you mean 'part'"):
        read_cohorts(plan({**B, "view": "part"}, column="prt", keep=["part"]), two)
