"""Which images a model learned from, as truncated hashes: enough to notice that it is being judged on them, and no more.

`training-images.json`: the first 8 bytes of the SHA-256 of each training image's pixel hash, sorted. With n training images the chance that
an unseen image matches by accident is n / 2^64.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from medtl import own_json
from medtl.contracts import FORMAT

FILE = "training-images.json"
COPY_AGAIN = "copy the package again"


def truncated(pixel_hash: str) -> str:
    """16 hex digits."""
    return hashlib.sha256(pixel_hash.encode()).hexdigest()[:16]


def write_seen(pixel_hashes: Iterable[str], folder: Path, before: Iterable[str] = ()) -> None:
    """Write the file; empty hashes (images never read) are left out. `before`: truncated hashes of what taught an earlier model."""
    hashes = sorted({*before, *(truncated(each) for each in pixel_hashes if each)})
    (folder / FILE).write_text(json.dumps({"format": FORMAT, "hashes": hashes}) + "\n", encoding="utf-8")


def read_seen(folder: Path) -> frozenset[str] | None:
    """The truncated hashes; None where the package does not hold them. Raises MedtlError where the file is damaged."""
    path = folder / FILE
    content = own_json.read(path, COPY_AGAIN)
    return None if content is None else texts(path, content, "hashes")


def texts(path: Path, content: Mapping[str, Any], key: str) -> frozenset[str]:
    """A list of texts in one of a package's files. Raises MedtlError where it is none."""
    with own_json.whole(path, COPY_AGAIN):
        given = content[key]
        if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
            raise TypeError
        return frozenset(given)
