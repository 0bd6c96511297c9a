"""What people say about answers, on the server: pictures without headers, a manifest for `medtl update`, and everything as it was said.

    FOLDER/MODEL/manifest.csv     a row per picture with a label
    FOLDER/MODEL/images/*.png     all pixels as the reader decoded them, under random names, nothing beside them
    FOLDER/MODEL/feedback.csv     every feedback, also without a picture, with comments: private

Folders are 0700, files 0600; each is whole or absent. The picture is there before the row that names it.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from medtl.app.page.growing_table import grow, private
from medtl.contracts import Task
from medtl.errors import MedtlError
from medtl.files import claimed, write_atomically
from medtl.findings import BETWEEN
from medtl.flows.predict import harmless
from medtl.flows.update_sets import PROVEN

OPINION, OTHER = "opinion", "other test"
BASES = (OPINION, *PROVEN, OTHER)
"""What a label may rest on; that it is `medtl update`'s word decides whether a label is taken that was given after the model's answer."""
FACTS = ("modality", "body_part", "view")
_COLUMNS = ("at", "person", "image", "label", "basis", "seen_model", "comment", "model_fingerprint", "model_decision", "model_reason")
_ALONG = ("patient_id", "seen_model", "basis", *FACTS, "pixel_hash")


@dataclass(frozen=True)
class Said:
    """One feedback."""

    called: tuple[str, ...] | None
    """The class, or the findings that are there; None: it cannot be told."""
    basis: str
    seen_model: bool
    """Whether the label was given after the model's answer was seen."""
    comment: str
    person: str
    """The login's name, if there is one."""


@dataclass(frozen=True)
class Picture:
    """The image that it is about."""

    png: bytes
    patient_id: str
    """A keyed hash, or empty."""
    pixel_hash: str
    facts: Mapping[str, str]


class FeedbackFolder:
    """`folder`: made (0700) where it is not there. Raises MedtlError where it cannot be written."""

    def __init__(self, folder: Path):
        self.folder = private(folder, "--feedback")

    def of(self, model: str) -> Path:
        """Where the feedback about a model of this name lies."""
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", model):
            raise MedtlError("This model's name cannot be a folder's; no feedback is taken for it")
        return self.folder / model

    def add(self, model: str, task: Task, said: Said, picture: Picture | None, about: Mapping[str, str]) -> None:
        """Store a feedback. picture: None where the image may not be kept. about: `at` and what the model had said.

        Raises MedtlError where it cannot be stored.
        """
        place = self.of(model)
        name = ""
        try:
            for folder in (place, place / "images"):
                folder.mkdir(exist_ok=True, mode=0o700)
            with claimed(place / ".lock", wait=True):
                if picture is not None:
                    name = f"images/{secrets.token_hex(12)}.png"
                    _write(place / name, picture.png)
                    if said.called is not None:
                        _list(place / "manifest.csv", _row(name, task, said.called, said, picture))
            label = "" if said.called is None else (BETWEEN.join(said.called) or "none")
            row = {
                **about, "person": said.person, "image": name, "label": harmless(label), "basis": said.basis,
                "seen_model": _word(said.seen_model), "comment": harmless(said.comment),
            }  # fmt: skip
            grow(place / "feedback.csv", _lines([]), _lines([row]))
        except OSError as error:
            raise MedtlError(f"It could not be stored ({error.strerror})") from None


def _row(name: str, task: Task, called: tuple[str, ...], said: Said, picture: Picture) -> dict[str, str]:
    """A row of the manifest, in words that the model's task understands."""
    if task.kind == "multi":
        labels = {each: str(int(each in called)) for each in task.names}
    else:
        known = task.class_of()
        labels = {"label": next(word for word in (called[0], *task.classes[called[0]]) if known.get(word) == called[0])}
    return {
        "image": name, **labels, "patient_id": picture.patient_id, "seen_model": _word(said.seen_model), "basis": said.basis,
        **{fact: picture.facts.get(fact, "") for fact in FACTS}, "pixel_hash": picture.pixel_hash,
    }  # fmt: skip


def _list(manifest: Path, row: Mapping[str, str]) -> None:
    """Add a row. A picture stands there once: with a label that `medtl update` may take rather than one that it may not, else the newer."""
    table = pd.read_csv(manifest, dtype=str, keep_default_na=False) if manifest.is_file() else pd.DataFrame(columns=list(row))
    if list(table.columns) != list(row):
        raise MedtlError("manifest.csv has other columns than this model's; give --feedback another folder")
    same = table["pixel_hash"] == row["pixel_hash"]
    if any(_usable(each) for each in table[same].to_dict("records")) and not _usable(row):
        return
    table = pd.concat([table[~same], pd.DataFrame([dict(row)])], ignore_index=True)
    _write(manifest, table.to_csv(index=False, lineterminator="\n").encode())


def _usable(row: Mapping[str, str]) -> bool:
    return row["seen_model"] == "false" or row["basis"] in PROVEN


def _write(path: Path, content: bytes) -> None:
    write_atomically(path, lambda temporary: temporary.write_bytes(content))  # type: ignore[arg-type, return-value]
    os.chmod(path, 0o600)  # before that it has the umask's mode, in a folder that nobody else may enter


def _lines(rows: list[dict[str, str]]) -> bytes:
    return str(pd.DataFrame(rows, columns=list(_COLUMNS)).to_csv(index=False, header=not rows, lineterminator="\n")).encode()


def _word(value: bool) -> str:
    return "true" if value else "false"
