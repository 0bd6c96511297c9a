"""The report's tables as a manuscript takes them: LaTeX (booktabs) and Word."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from medtl.document.table import Table, write_tables
from medtl.files import write_atomically, write_text
from medtl.report.judged import BY_WEIGHT

FOLDER, WORD, ALL = "tables", "tables.docx", "tables.tex"
OF_SINGLE_IMAGES = ("worst_errors", "quarantine")
"""Tables with a row per image, which name files: they stay with the report."""
EXTRA = "pip install 'medtl[paper]'"
_SYMBOLS = {
    "×": r"$\times$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "±": r"$\pm$",
    "→": r"$\to$",
    "²": r"$^2$",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}
_PREAMBLE = r"""\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{booktabs,graphicx}
\begin{document}
"""


def for_paper(tables: Sequence[Table]) -> list[Table]:
    """Those with a printed form, less those of single images."""
    return [replace(table, caption=_caption(table)) for table in tables if table.header and table.name not in OF_SINGLE_IMAGES]


def _caption(table: Table) -> str:
    """The report's caption, for a place without its headings: the split is named, the number is left to the manuscript."""
    split = next((split for split in BY_WEIGHT if table.name.startswith(f"{split}_")), "")
    if split:
        return f"{split.capitalize()}: {table.caption[0].lower()}{table.caption[1:]}"
    return table.caption.removeprefix("Table 1. ").replace("Table 1, by domain", "Images by domain")


def write_all(tables: Sequence[Table], folder: Path) -> None:
    """`tables/<name>.csv` and `.tex`, and `tables.tex`, a document that holds them all."""
    write_tables(tables, folder / FOLDER)
    for table in tables:
        write_text(folder / FOLDER / f"{table.name}.tex", latex(table))
    inputs = "".join(f"\\input{{{FOLDER}/{table.name}}}\n" for table in tables)
    write_text(folder / ALL, f"{_PREAMBLE}{inputs}\\end{{document}}\n")


def latex(table: Table) -> str:
    """A `table` environment (packages booktabs and graphicx); one wider than the text is shrunk to it, its note stands below."""
    header, *rows = [" & ".join(_escaped(cell) for cell in row) + r" \\" for row in (table.header, *table.rows)]
    columns = "l" + ("l" if table.prose else "r") * (len(table.header) - 1)
    lines = [f"\\begin{{tabular}}{{{columns}}}", r"\toprule", header, r"\midrule", *rows, r"\bottomrule", r"\end{tabular}"]
    inner = "\n".join(lines)
    note = f"\n\\par\\smallskip\\footnotesize {_escaped(table.note.strip())}" if table.note else ""
    return (
        f"\\begin{{table}}[htbp]\n\\centering\n\\caption{{{_escaped(table.caption)}}}\n\\label{{tab:{table.name}}}\n\\small\n"
        f"\\resizebox{{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}}{{!}}{{%\n{inner}}}{note}\n\\end{{table}}\n"
    )


def _escaped(text: str) -> str:
    """Text with nothing left that LaTeX would take for a command."""
    slashed = text.replace("\\", "\0")
    for letter in "&%$#_{}":
        slashed = slashed.replace(letter, f"\\{letter}")
    slashed = slashed.replace("~", r"\textasciitilde{}").replace("^", r"\textasciicircum{}").replace("\0", r"\textbackslash{}")
    return "".join(_SYMBOLS.get(letter, letter) for letter in slashed)


def word_is_there() -> bool:
    """Whether python-docx is installed (the optional extra `paper`)."""
    return importlib.util.find_spec("docx") is not None


def write_word(tables: Sequence[Table], folder: Path) -> None:
    """`tables.docx`: every table as a Word table with its caption above and its note below."""
    from docx import Document
    from docx.enum.section import WD_ORIENT
    from docx.shared import Pt

    document = Document()
    section = document.sections[0]
    section.orientation = WD_ORIENT.LANDSCAPE
    section.page_width, section.page_height = section.page_height, section.page_width
    document.styles["Normal"].font.size = Pt(9)
    for table in tables:
        document.add_paragraph(table.caption, style="Caption").paragraph_format.keep_with_next = True
        made = document.add_table(rows=1, cols=len(table.header), style="Light List")
        for row in (table.header, *table.rows):
            cells = made.rows[0].cells if row is table.header else made.add_row().cells
            for cell, text in zip(cells, row, strict=False):
                cell.text = text
        document.add_paragraph(table.note.strip())
    write_atomically(folder / WORD, lambda path: document.save(str(path)))
