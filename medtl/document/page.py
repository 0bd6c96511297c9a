"""From a template to a page, and from tables to CSV files beside it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import jinja2
import pandas as pd
from markupsafe import Markup, escape

from medtl.document.picture import data_uri, picture_of
from medtl.document.table import Table
from medtl.estimates import number
from medtl.files import write_atomically


def environment(package: str) -> jinja2.Environment:
    """Templates of `package` and this room's own. Everything put into a page is escaped: names come from configs, tables, file systems."""
    made = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(package), jinja2.PackageLoader("medtl.document")]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["ticked"] = ticked
    made.globals.update(number=number, data_uri=data_uri, picture_of=picture_of)
    return made


def ticked(text: str) -> Markup:
    """Text with what stands in backticks as code.

    >>> ticked("say `a < b`")
    Markup('say <code>a &lt; b</code>')
    """
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def write_tables(tables: Iterable[Table], folder: Path) -> None:
    """Write `<name>.csv` of each table into `folder`; tables of an earlier page go."""
    for old in folder.glob("*.csv"):
        old.unlink()
    for table in tables:
        write_csv(table.raw, folder / f"{table.name}.csv")


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a table whole or not at all; equal tables are equal files."""
    write_atomically(path, lambda temporary: frame.to_csv(temporary, index=False, encoding="utf-8", lineterminator="\n"))
