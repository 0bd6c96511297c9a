"""Label tables as hospitals write them: comma, semicolon or tab, byte order marks, Windows encodings, Excel, Parquet.

Every cell becomes a string and stays as it is written ('007' is not 7); only blanks around it go. In Excel and Parquet, where
numbers are numbers, a whole number is written without a point.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import pandas as pd

from medtl.errors import MedtlError, did_you_mean, listed

SEPARATORS = (",", ";", "\t", "|")
_SEPARATOR_LINE = re.compile(r'"?sep=([^\r\n"])"?[,;\t|]*\r?\n', re.IGNORECASE)
"""Excel's first line that names the separator: `sep=;`."""


@dataclass
class LabelTable:
    """`cells`: all columns strings. `lines`: for messages, the line of the file (text) or the row (Excel, Parquet) of each row."""

    cells: pd.DataFrame
    lines: list[int]
    notes: list[str] = field(default_factory=list)


def read_table(path: Path, separator: str = "auto", encoding: str = "auto", sheet: str | None = None) -> LabelTable:
    """Read a label table by its suffix (.xlsx, .parquet, else text). Raises MedtlError where it cannot be read or makes no table."""
    if not path.is_file():
        raise MedtlError(f"there is no table '{path}'")
    suffix = path.suffix.lower()
    if suffix in (".xlsx", ".xlsm"):
        return _read_excel(path, sheet)
    if suffix in (".parquet", ".pq"):
        return _read_parquet(path)
    if suffix in (".xls", ".ods"):
        raise MedtlError(f"'{path}': {suffix} is not read; save it as .xlsx or .csv")
    return _read_text(path, separator, encoding)


def _read_text(path: Path, separator: str, encoding: str) -> LabelTable:
    text, used = _decode(path, encoding)
    hint = _SEPARATOR_LINE.match(text)
    text = text[hint.end() :] if hint else text
    notes = [f"'{path.name}' is read as {used}"] if encoding == "auto" and used != "utf-8-sig" else []
    if separator == "auto":
        separator = hint[1] if hint else guess_separator(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    rows, lines = [], []
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append(row)
                lines.append(reader.line_num + bool(hint))
    except csv.Error as error:
        raise MedtlError(f"'{path}', line {reader.line_num + bool(hint)}: {error}") from None
    return _assemble(path, rows, lines, notes)


def _decode(path: Path, encoding: str) -> tuple[str, str]:
    content = path.read_bytes()
    if encoding == "auto":
        if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
            encoding = "utf-16"
        else:
            try:
                return content.decode("utf-8-sig"), "utf-8-sig"
            except UnicodeDecodeError:
                encoding = "cp1252"
    try:
        return content.decode(encoding), encoding
    except LookupError:
        raise MedtlError(f"encoding: '{encoding}' is unknown; such as utf-8, cp1252, latin-1, utf-16") from None
    except UnicodeError:
        raise MedtlError(f"'{path}' is not written in {encoding}; say `encoding:` (such as utf-8, cp1252, latin-1, utf-16)") from None


def guess_separator(text: str) -> str:
    r"""The separator that gives the first lines the same number (above one) of cells; comma where none does.

    >>> guess_separator("a;b\n1,5;2\n"), guess_separator("image\n1.png\n")
    (';', ',')
    """
    head = [line for line in text[:65536].splitlines() if line.strip()][:20]
    best, most = ",", 0
    for separator in SEPARATORS:
        widths = Counter(len(row) for row in csv.reader(head, delimiter=separator))
        width, agreeing = widths.most_common(1)[0] if widths else (1, 0)
        if width > 1 and agreeing * width > most:
            best, most = separator, agreeing * width
    return best


def _assemble(path: Path, rows: list[list[str]], lines: list[int], notes: list[str]) -> LabelTable:
    """Header and rows → table; a trailing empty column is dropped, and a nameless first one that numbers the rows, as pandas writes it.
    Rows of another width are refused with their lines."""
    if len(rows) < 2:
        raise MedtlError(f"'{path}' holds no rows below a header")
    if _numbers_rows(rows):
        rows = [row[1:] for row in rows]
        notes = [*notes, f"'{path.name}': the first column, which has no name and numbers the rows, is left out"]
    header = [name.strip() for name in rows[0]]
    while header and not header[-1] and all(len(row) < len(header) or not row[len(header) - 1].strip() for row in rows[1:]):
        header.pop()
    width = len(header)
    repeated = [name for name, count in Counter(header).items() if count > 1]
    if "" in header:
        place = header.index("") + 1
        raise MedtlError(f"'{path}': column {place} of the header has no name ({listed(header)}); name it, or remove it from the table")
    if repeated:
        raise MedtlError(f"'{path}': the header repeats {listed(repeated)} ({listed(header)}); give each column a name of its own")
    body = [row[:width] if not any(cell.strip() for cell in row[width:]) else row for row in rows[1:]]
    crooked = [line for row, line in zip(body, lines[1:], strict=True) if len(row) != width]
    if crooked:
        raise MedtlError(f"'{path}': {len(crooked):,} rows do not have the header's {width} cells: lines {listed(crooked)}")
    cells = pd.DataFrame([[cell.strip() for cell in row] for row in body], columns=header, dtype=object)
    return LabelTable(cells, lines[1:], notes)


def _numbers_rows(rows: list[list[str]]) -> bool:
    """Whether the first column has no name and holds a different whole number in each row: the index of a pandas table."""
    numbers = [row[0].strip() for row in rows[1:] if row]
    return len(rows[0]) > 1 and not rows[0][0].strip() and len(set(numbers)) == len(rows) - 1 and all(map(str.isdecimal, numbers))


def _read_excel(path: Path, sheet: str | None) -> LabelTable:
    import openpyxl  # 0.3 s, and most tables are text
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (InvalidFileException, zipfile.BadZipFile, OSError, KeyError, ValueError):
        raise MedtlError(f"'{path}' cannot be read as an Excel file") from None
    try:
        if sheet is not None and sheet not in book.sheetnames:
            near = did_you_mean(sheet, book.sheetnames)
            raise MedtlError(f"sheet: '{path}' has no sheet '{sheet}'{near}; sheets: {listed(book.sheetnames)}")
        chosen = book[sheet] if sheet is not None else book.worksheets[0]
        rows, lines = [], []
        for line, row in enumerate(chosen.iter_rows(), start=1):
            texts = [_excel_text(cell.value, cell.number_format if cell.value is not None else "") for cell in row]
            if any(texts):
                rows.append(texts)
                lines.append(line)
    finally:
        book.close()
    return _assemble(path, rows, lines, [])


def _excel_text(value: Any, number_format: str) -> str:
    """The cell's content; a number shown with leading zeros (format `000`) keeps them, for it is an id."""
    text = _text(value)
    return text.zfill(len(number_format)) if text.isdigit() and number_format and set(number_format) == {"0"} else text


def _read_parquet(path: Path) -> LabelTable:
    import pyarrow as arrow
    from pyarrow import parquet

    try:
        table = parquet.read_table(path)
    except (arrow.ArrowException, OSError):
        raise MedtlError(f"'{path}' cannot be read as Parquet") from None
    names = [name for name in table.column_names if name != "__index_level_0__"]  # pandas' row numbers
    columns = {name: [_text(value) for value in table.column(name).to_pylist()] for name in names}
    if not columns or not table.num_rows:
        raise MedtlError(f"'{path}' holds no rows")
    return LabelTable(pd.DataFrame(columns, dtype=object), list(range(1, table.num_rows + 1)))


def _text(value: Any) -> str:
    """A cell as text: empty for nothing and NaN, whole numbers without a point, dates ISO.

    >>> _text(7.0), _text("007"), _text(None), _text(0.5)
    ('7', '007', '', '0.5')
    """
    if value is None or value != value:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, datetime) and value.time() == time():
        return value.date().isoformat()
    if isinstance(value, date | datetime):
        return value.isoformat()
    return str(value).strip()
