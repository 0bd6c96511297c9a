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

from medtl.contracts import FORMAT
from medtl.errors import MedtlError
from medtl.model.seen import truncated

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
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version, parts = int(content["format"]), [content[each.name] for each in fields(Ancestry)]
        if not all(isinstance(part, list) and all(isinstance(each, str) for each in part) for part in parts):
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError):
        raise MedtlError(f"{path}: is cut or damaged; copy the package again") from None
    if version > FORMAT:
        raise MedtlError(f"{path}: has format {version}; this version reads up to {FORMAT}: update medtl")
    return Ancestry(*map(frozenset, parts))
