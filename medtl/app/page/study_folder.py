"""The readings of a reader study on the server: a CSV per reader, which only grows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from medtl.app.page.growing_table import grow, private
from medtl.app.page.readings import WITHOUT, csv
from medtl.errors import MedtlError


class StudyFolder:
    """`folder`: made (0700) where it is not there. Raises MedtlError where it cannot be written."""

    def __init__(self, folder: Path):
        self.folder = private(folder, "--study")

    def file(self, reader: str) -> Path:
        """`reader`: a login's name or a code, which hold nothing that a path would mind."""
        return self.folder / f"readings-{reader}.csv"

    def add(self, reader: str, table: Sequence[Mapping[str, str]]) -> None:
        """Append rows. Raises MedtlError where they cannot be written, or the file is of another kind."""
        try:
            grow(self.file(reader), csv([]).encode(), csv(table, header=False).encode())
        except OSError as error:
            raise MedtlError(f"The reading could not be stored ({error.strerror}); nothing is shown before it is") from None

    def read_before(self, reader: str) -> set[tuple[str, str]]:
        """(case, model) that this reader has read in this study."""
        file = self.file(reader)
        if not file.is_file() or not file.stat().st_size:
            return set()
        table = pd.read_csv(file, dtype=str, keep_default_na=False, on_bad_lines="skip")
        if not {"treatment", "case", "model"} <= set(table.columns):
            return set()
        first = table[table["treatment"] == WITHOUT]
        return set(zip(first["case"], first["model"], strict=True))
