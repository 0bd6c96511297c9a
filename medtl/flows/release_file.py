"""`release.json` of a run with adaptation: which candidate is its model, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medtl import own_json

FILE = "release.json"


def read(folder: Path) -> dict[str, Any] | None:
    """The content, None where the run has none. Raises MedtlError where it is damaged or of a newer format."""
    return own_json.read(folder / FILE, "restore it from where the run was kept")
