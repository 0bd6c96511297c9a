"""A hospital's labelled cases: made pictures, a table that names them, and both in a zip."""

from __future__ import annotations

import csv
import io
import zipfile

import cv2
import numpy as np

NAME = "ZZCANARY"
HEADER = ["file", "finding", "patient", "sex"]


def picture(number: int) -> bytes:
    return cv2.imencode(".png", np.random.default_rng(number).integers(0, 256, (40, 60), dtype=np.uint8))[1].tobytes()


def rows(count: int = 24) -> list[list[str]]:
    """`count` images of half as many patients; every third is ill. Their order by name is not that of the rows."""
    return [[f"images/{NAME} {count - i:03d}.png", "Sick" if i % 3 == 0 else "No finding", f"P{i // 2}", "FM"[i % 2]] for i in range(count)]


def table(given: list[list[str]], header: list[str] = HEADER) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([header, *given])
    return text.getvalue().encode()


def zipped(given: list[list[str]], name: str = "study/labels.csv", without: int = 0, header: list[str] = HEADER) -> bytes:
    """A zip of the table and its images, the first `without` of which are missing."""
    held_bytes = io.BytesIO()
    with zipfile.ZipFile(held_bytes, "w") as archive:
        if name:
            archive.writestr(name, table(given, header))
        for number, row in enumerate(given):
            if number >= without:
                archive.writestr(f"study/{row[0]}", picture(number))
        archive.writestr("study/further.png", picture(999))
        archive.writestr("__MACOSX/._labels.csv", "nothing")
    return held_bytes.getvalue()
