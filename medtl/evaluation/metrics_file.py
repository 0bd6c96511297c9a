"""metrics.json: the figures of a run or model, per split. Written whole or not at all; never holds NaN."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medtl.contracts import FORMAT
from medtl.errors import MedtlError
from medtl.files import write_json


def write(path: Path, splits: Mapping[str, Mapping[str, Any]], unit: str, looks: int) -> None:
    """Write `{"format", "unit", "looks", "splits"}`, replacing a former file in one step.

    `splits`: name → what :func:`medtl.evaluation.summary.summarize` gives. `unit`: what the intervals count as one case
    (patient, lesion, study, image). `looks`: how often a test split was opened. Raises ValueError on NaN or infinity (our defect).
    """
    contents = {"format": FORMAT, "unit": unit, "looks": looks, "splits": {name: dict(entry) for name, entry in splits.items()}}
    write_json(path, contents)


def read(path: Path) -> dict[str, Any]:
    """The contents of a file written by :func:`write`. Raises :class:`MedtlError` where it is missing, broken or of a newer format."""
    try:
        contents = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except FileNotFoundError:
        raise MedtlError(f"{path}: not found; a run gets its metrics from training, and those of test from `medtl evaluate RUN`") from None
    except (OSError, ValueError) as error:
        raise MedtlError(f"{path}: cannot be read as metrics ({type(error).__name__}: {error})") from None
    version = contents.get("format") if isinstance(contents, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise MedtlError(f"{path}: is no metrics file: `format` is {version!r}, expected {FORMAT}")
    if version > FORMAT:
        raise MedtlError(f"{path}: was written by a newer medtl (format {version}, this one knows {FORMAT}); update medtl to read it")
    missing = [key for key in ("unit", "looks", "splits") if key not in contents]
    if missing:
        raise MedtlError(f"{path}: is no metrics file: {', '.join(missing)} missing")
    found: dict[str, Any] = contents
    return found


def _refuse_constant(name: str) -> float:
    raise ValueError(f"holds {name}, which JSON does not know")
