"""What a reader says: checked, written as a table that MRMC programs read, stored so that nothing already said is lost."""

from __future__ import annotations

import io
import os
import stat

import pandas as pd
import pytest

from medtl.app.page.readings import COLUMNS, WITH, WITHOUT, code_of, csv, opinion, rated, rows
from medtl.app.page.study_folder import StudyFolder
from medtl.contracts import Task
from medtl.errors import MedtlError

TWO = Task(classes={"normal": (), "ill": ()})
THREE = Task(classes={"a": (), "=b": (), "c": ()})
FINDINGS = Task(kind="multi", classes={"mass": (), "effusion": ()})
FACTS = {"reader": "r1", "case": "ab", "model": "m", "seconds": "1.50", "seed": None}


def table(text: str) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)


def test_of_two_classes_the_positive_one_is_rated_of_more_each_one():
    assert rated(TWO) == ("ill",)
    assert rated(Task(classes={"normal": (), "ill": ()}, positive="normal")) == ("normal",)
    assert rated(THREE) == ("a", "=b", "c")
    assert rated(FINDINGS) == ("mass", "effusion")


def test_a_reading_is_taken_as_it_was_given():
    assert (opinion(TWO, "normal", [12.5]).decision, dict(opinion(TWO, "normal", [12.5]).ratings)) == ("normal", {"ill": 12.5})
    assert dict(opinion(THREE, "a", [60, None, 40]).ratings) == {"a": 60, "=b": 0, "c": 40}
    assert opinion(FINDINGS, ["effusion", "mass"], [80, 70]).decision == "mass|effusion"
    assert opinion(FINDINGS, ["none"], [None, 5]).decision == "none"


@pytest.mark.parametrize(
    ("task", "called", "ratings", "sentence"),
    [
        (TWO, None, [50], "choose a class"),
        (TWO, "elsewhere", [50, 1], None),
        (TWO, "ill", [None], "how probable ill is"),
        (TWO, "ill", [101], "from 0 to 100; 101 was given"),
        (TWO, "ill", [-1], "from 0 to 100"),
        (TWO, "ill", [float("nan")], "from 0 to 100"),
        (THREE, "c", [10, 20, None], "how probable c is"),
        (FINDINGS, [], [None, None], "that there is none"),
        (FINDINGS, ["mass", "none"], [60, None], "untick one"),
    ],
)
def test_what_is_missing_or_out_of_range_is_said(task, called, ratings, sentence):
    with pytest.raises(MedtlError, match=sentence or "choose a class"):
        opinion(task, called, ratings)


@pytest.mark.parametrize("typed", ["", "a b", "=1+1", "../x", "Ä", "-r", "x" * 33, "a/b", "a\n"])
def test_only_a_code_is_a_reader(typed):
    if typed == "a\n":
        assert code_of(typed) == "a"
        return
    with pytest.raises(MedtlError, match="reader code"):
        code_of(typed)


def test_rows_are_long_and_no_cell_is_a_formula():
    said = opinion(THREE, "=b", [0, 90, 10])
    first = rows(said, WITHOUT, FACTS | {"model": "=cmd()"})
    again = rows(said, WITH, FACTS, {"a": 0.25, "=b": 0.5, "c": float("nan")})
    written = table(csv([*first, *again]))
    assert list(written.columns) == list(COLUMNS)
    assert written["treatment"].tolist() == [WITHOUT] * 3 + [WITH] * 3
    assert written["rated"].tolist()[:3] == ["a", "'=b", "c"]
    assert written["rating"].tolist()[:3] == ["0", "90", "10"]
    assert written["called"].tolist()[:3] == ["0", "1", "0"]
    assert written["model_probability"].tolist() == ["", "", "", "0.250000", "0.500000", ""]
    assert written["seed"].tolist() == [""] * 6
    assert not written.map(lambda cell: cell.startswith(("=", "+", "-", "@"))).to_numpy().any()


def test_a_study_grows_by_whole_rows_and_belongs_to_its_owner(tmp_path):
    study = StudyFolder(tmp_path / "study")
    made = rows(opinion(TWO, "ill", [80]), WITHOUT, FACTS)
    study.add("r1", made)
    study.add("r1", rows(opinion(TWO, "ill", [90]), WITH, FACTS))
    study.add("r2", made)
    file = study.file("r1")
    assert table(file.read_text())["rating"].tolist() == ["80", "90"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "study").stat().st_mode) == 0o700
    assert study.read_before("r1") == {("ab", "m")}
    assert study.read_before("nobody") == set()


@pytest.mark.parametrize("left", ["half a row", "half a header", "nothing"])
def test_what_a_failing_machine_cut_off_costs_one_row_at_most(tmp_path, left):
    study = StudyFolder(tmp_path)
    made = rows(opinion(TWO, "ill", [80]), WITHOUT, FACTS)
    study.add("r1", made)
    whole = study.file("r1").read_bytes()
    header = whole.index(b"\n") + 1
    study.file("r1").write_bytes({"half a row": whole + b"r1,with mo", "half a header": whole[: header - 9], "nothing": b""}[left])
    study.add("r1", made)
    assert len(table(study.file("r1").read_text())) == (2 if left == "half a row" else 1)
    assert study.read_before("r1") == {("ab", "m")}


def test_another_file_of_that_name_and_a_link_are_left_alone(tmp_path):
    study = StudyFolder(tmp_path)
    study.file("r1").write_text("image,label\n")
    with pytest.raises(MedtlError, match="other columns"):
        study.add("r1", rows(opinion(TWO, "ill", [80]), WITHOUT, FACTS))
    assert study.file("r1").read_text() == "image,label\n"
    (tmp_path / "elsewhere").write_text("")
    study.file("r2").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MedtlError, match="could not be stored"):
        study.add("r2", rows(opinion(TWO, "ill", [80]), WITHOUT, FACTS))
    assert (tmp_path / "elsewhere").read_text() == ""


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(MedtlError, match="--study"):
        StudyFolder(tmp_path / "study")
