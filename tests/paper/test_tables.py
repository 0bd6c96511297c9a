"""Tables survive the way into LaTeX and Word."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medtl.document.table import Table, plain
from medtl.paper.tables import for_paper, latex, write_all, write_word

TABLE = plain(
    "test_classes",
    "Per class (95 % interval)",
    ["class", "images"],
    [["a_b & {c}", 1200], ["50 % of $x^2 < y~z\\", 3]],
    note="A note: 5 %.",
)


def test_latex_by_hand() -> None:
    text = latex(TABLE)
    assert r"a\_b \& \{c\} & 1,200 \\" in text
    assert r"50 \% of \$x\textasciicircum{}2 \textless{} y\textasciitilde{}z\textbackslash{} & 3 \\" in text
    assert r"\caption{Per class (95 \% interval)}" in text
    assert r"\footnotesize A note: 5 \%." in text
    assert text.index(r"\toprule") < text.index("class & images") < text.index(r"\midrule") < text.index(r"\bottomrule")


@given(st.lists(st.text(alphabet=st.sampled_from("ab&%$#_{}~^\\<>×²"), max_size=12), min_size=2, max_size=4))
def test_no_cell_can_break_a_row(cells: list[str]) -> None:
    row = latex(plain("x", "x", cells, [])).split("\\toprule\n")[1].split("\n")[0].removesuffix(r" \\")
    commands = re.sub(
        r"\\(?:textbackslash|textasciitilde|textasciicircum|textless|textgreater)\{\}|\\[&%$#_{}]|\$(?:\\times|\^2)\$", "", row
    )
    assert commands.count(" & ") == len(cells) - 1
    assert not set("%$#_{}~^\\<>") & set(commands)


def test_captions_name_their_split_and_single_images_stay_out() -> None:
    first = Table("table_1", "Table 1. Images by split", ["", "n"], [], TABLE.raw)
    single, curves = Table("worst_errors", "Worst errors", ["image"], [], TABLE.raw), Table("curves", "Epochs", [], [], TABLE.raw)
    assert [(table.name, table.caption) for table in for_paper([first, TABLE, single, curves])] == [
        ("table_1", "Images by split"),
        ("test_classes", "Test: per class (95 % interval)"),
    ]


def test_the_document_reads_every_table(tmp_path: Path) -> None:
    write_all([TABLE], tmp_path)
    inputs = re.findall(r"\\input\{(.*)\}", (tmp_path / "tables.tex").read_text(encoding="utf-8"))
    assert [(tmp_path / f"{name}.tex").is_file() for name in inputs] == [True]
    assert (tmp_path / "tables" / "test_classes.csv").read_text(encoding="utf-8").splitlines()[0] == "class,images"


def test_word_holds_the_cells(tmp_path: Path) -> None:
    docx = pytest.importorskip("docx", reason="the optional extra `paper`")
    write_word([TABLE], tmp_path)
    document = docx.Document(str(tmp_path / "tables.docx"))
    assert [[cell.text for cell in row.cells] for row in document.tables[0].rows] == [list(TABLE.header), *map(list, TABLE.rows)]
    assert [text for paragraph in document.paragraphs if (text := paragraph.text)] == [TABLE.caption, TABLE.note]
