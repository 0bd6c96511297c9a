"""Label tables as hospitals write them."""

from __future__ import annotations

import os
from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from medtl.cohorts.tables import read_table
from medtl.errors import MedtlError

ROWS = [["image", "label", "who"], ["007.png", "Lésion", "007"], ["a b.png", "1,5", ""]]
EXPECTED = pd.DataFrame(ROWS[1:], columns=ROWS[0])


def written(separator: str, newline: str = "\n") -> str:
    return newline.join(separator.join(f'"{cell}"' if separator in cell else cell for cell in row) for row in ROWS) + newline


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "latin-1", "utf-16"])
def test_text_tables_are_read_alike(tmp_path: Path, separator: str, newline: str, encoding: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(written(separator, newline).encode(encoding))
    table = read_table(path)
    pd.testing.assert_frame_equal(table.cells, EXPECTED, check_dtype=False)
    assert table.lines == [2, 3]
    assert all(isinstance(cell, str) for cell in table.cells.to_numpy().ravel())


def test_another_encoding_than_utf8_is_said(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(written(",").encode("latin-1"))
    assert read_table(path).notes == ["'t.csv' is read as cp1252"]
    assert read_table(path, encoding="latin-1").notes == []


def test_excel_keeps_ids_written_as_text_or_shown_with_zeros(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["image", "who", "code", "age", "day"])
    book.active.append(["a.png", "007", 7, 61.5, pd.Timestamp("2024-02-29").to_pydatetime()])
    book.active["C2"].number_format = "000"
    book.active.append([None, None, None, None, None])
    book.active.append(["b.png", None, 12, 3.0, None])
    book.create_sheet("other").append(["x", "y"])
    book.save(tmp_path / "t.xlsx")
    table = read_table(tmp_path / "t.xlsx")
    assert table.cells.to_numpy().tolist() == [["a.png", "007", "007", "61.5", "2024-02-29"], ["b.png", "", "12", "3", ""]]
    assert table.lines == [2, 4]
    with pytest.raises(MedtlError, match="no sheet 'othr'; did you mean 'other'"):
        read_table(tmp_path / "t.xlsx", sheet="othr")


def test_parquet_keeps_strings_and_empties(tmp_path: Path) -> None:
    frame = pd.DataFrame({"image": ["a.png", "b.png"], "who": ["007", None], "y": [1, 0], "age": [61.5, float("nan")]}, index=[5, 9])
    frame.to_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet").cells.to_numpy().tolist() == [["a.png", "007", "1", "61.5"], ["b.png", "", "0", ""]]


def test_lines_count_through_quoted_line_breaks_and_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('image,text\na.png,"two\nlines"\n\nb.png,x\n')
    table = read_table(path)
    assert table.lines == [3, 5]
    assert table.cells["image"].tolist() == ["a.png", "b.png"]


def test_a_trailing_separator_is_no_column(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("image,label,\na.png,x,\nb.png,y,\n")
    assert read_table(path).cells.columns.tolist() == ["image", "label"]


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
def test_the_row_numbers_of_pandas_are_no_column(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t.{suffix}"
    frame = EXPECTED.set_axis([7, 3])
    frame.to_csv(path) if suffix == "csv" else frame.to_excel(path)
    table = read_table(path)
    pd.testing.assert_frame_equal(table.cells, EXPECTED, check_dtype=False)
    assert table.lines == [2, 3]
    assert table.notes == [f"'t.{suffix}': the first column, which has no name and numbers the rows, is left out"]


@pytest.mark.parametrize("line", ["sep=;", '"SEP=;"', "sep=;;;"])
def test_the_line_that_names_the_separator_is_heeded(tmp_path: Path, line: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"{line}\na,b;c,d\n1,2;3,4\n")  # more commas than semicolons
    table = read_table(path)
    assert table.cells.to_dict("records") == [{"a,b": "1,2", "c,d": "3,4"}]
    assert table.lines == [3]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("image,label\na.png,x\nb.png,y,z\nc.png\n", r"2 rows do not have the header's 2 cells: lines 3, 4"),
        ("image,image\na,b\n", r"the header repeats image \(image, image\); give each column a name"),
        ("image,,label\na,b,c\n", r"column 2 of the header has no name \(image, , label\); name it, or remove it"),
        (",image,label\n0,a,x\n0,b,y\n", "column 1 of the header has no name"),
        ("image,label\n", "no rows below a header"),
        ("", "no rows below a header"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(content)
    with pytest.raises(MedtlError, match=message):
        read_table(path)


BROKEN = [("t.xlsx", "Excel"), ("t.parquet", "Parquet"), ("t.xls", "save it as"), ("t.csv", "not written in ascii")]


@pytest.mark.parametrize(("name", "message"), BROKEN)
def test_broken_tables_are_refused_in_one_sentence(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / name).write_bytes(os.urandom(64) + b"\xff\xfe\x81")
    with pytest.raises(MedtlError, match=message):
        read_table(tmp_path / name, encoding="ascii")
