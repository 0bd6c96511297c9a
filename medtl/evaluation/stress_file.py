"""stress.json: what was measured under stress and does not follow from the predictions, by split: probes of the features, saliency."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medtl.errors import MedtlError
from medtl.files import write_json

FILE, FORMAT = "stress.json", 1


def read(folder: Path) -> dict[str, Any]:
    """Split → `{"probes": {…}, "saliency": {…}}`; empty where there is none.

    Raises MedtlError where it is damaged, or of a newer format.
    """
    path = folder / FILE
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        newer, splits = content["format"] > FORMAT, dict(content["splits"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MedtlError(f"{path}: cannot be read ({type(error).__name__}); write it again: medtl evaluate … --stress") from None
    if newer:
        raise MedtlError(f"{path}: was written by a newer medtl (format {content['format']}, this one knows {FORMAT}); update medtl")
    return splits


def keep(further: Mapping[str, Any] | None, folder: Path, split: str) -> None:
    """Put one split's into the file; None takes what was there of an earlier model or look."""
    splits = {name: each for name, each in read(folder).items() if name != split}
    if further is not None:
        splits[split] = dict(further)
    if splits:
        write_json(folder / FILE, {"format": FORMAT, "splits": splits})
    else:
        (folder / FILE).unlink(missing_ok=True)
