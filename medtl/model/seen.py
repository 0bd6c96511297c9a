"""Which images a model learned from, as truncated hashes: enough to notice that it is being judged on them, and no more.

`training-images.json`: the first 8 bytes of the SHA-256 of each training image's pixel hash, sorted. With n training images the chance that
an unseen image matches by accident is n / 2^64.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from medtl.contracts import FORMAT
from medtl.errors import MedtlError

FILE = "training-images.json"


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
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version, hashes = int(content["format"]), content["hashes"]
        if version > FORMAT:
            raise MedtlError(f"{path}: has format {version}; this version reads up to {FORMAT}: update medtl")
        if not isinstance(hashes, list) or not all(isinstance(each, str) for each in hashes):
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError):
        raise MedtlError(f"{path}: is cut or damaged; copy the package again") from None
    return frozenset(hashes)
