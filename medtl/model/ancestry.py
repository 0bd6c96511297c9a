"""Who taught and who judged the models that an updated one descends from, as truncated hashes: enough to notice that they come again.

`ancestry.json` in an updated package: patients that taught, patients and images that judged (test, held out, reference) it and every model
before it. Of a patient it holds 8 bytes of the SHA-256 of the keyed hash that records hold, so it is known again by the same
installation alone; images, by their pixels, everywhere. Images that taught are in `training-images.json` (see `seen`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

from medtl import own_json
from medtl.contracts import FORMAT
from medtl.model.seen import COPY_AGAIN, texts, truncated

FILE = "ancestry.json"


@dataclass(frozen=True)
class Ancestry:
    """Truncated hashes."""

    taught: frozenset[str] = frozenset()
    """Patients."""
    judged: frozenset[str] = frozenset()
    """Patients."""
    judged_images: frozenset[str] = frozenset()

    def __or__(self, other: Ancestry) -> Ancestry:
        return Ancestry(*(getattr(self, each.name) | getattr(other, each.name) for each in fields(Ancestry)))


def hashed(ids: Iterable[str]) -> frozenset[str]:
    """Of keyed patient ids, or of pixel hashes; empty ones (unknown) are left out."""
    return frozenset(truncated(each) for each in ids if each)


def write_ancestry(ancestry: Ancestry, folder: Path) -> None:
    """Write the file into a package."""
    content = {each.name: sorted(getattr(ancestry, each.name)) for each in fields(Ancestry)}
    (folder / FILE).write_text(json.dumps({"format": FORMAT, **content}) + "\n", encoding="utf-8")


def read_ancestry(folder: Path) -> Ancestry | None:
    """None where the package is no updated one. Raises MedtlError where the file is damaged or of a newer format."""
    path = folder / FILE
    content = own_json.read(path, COPY_AGAIN)
    return None if content is None else Ancestry(*(texts(path, content, each.name) for each in fields(Ancestry)))
