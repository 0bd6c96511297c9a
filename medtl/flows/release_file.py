"""`release.json` of a run with adaptation: which candidate is its model, and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from medtl.contracts import FORMAT
from medtl.errors import MedtlError

FILE = "release.json"


def read(folder: Path) -> dict[str, Any] | None:
    """The content, None where the run has none. Raises MedtlError where it is damaged or of a newer format."""
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version = int(content["format"])
    except (ValueError, KeyError, TypeError):
        raise MedtlError(f"{path}: is cut or damaged; restore it from where the run was kept") from None
    if version > FORMAT:
        raise MedtlError(f"{path}: has format {version}; this version reads up to {FORMAT}: update medtl")
    return content
