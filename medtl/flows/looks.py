"""How often a set of test images was looked at, across runs: a ledger beside the installation, not in the run that could be deleted.

One file per test set, named by the SHA-256 of its images' sorted hashes; one line per look: when, which experiment, which model.
No patient data, no file names.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from medtl.errors import MedtlError


def state_dir() -> Path:
    """`$MEDTL_STATE`, else `medtl` in the platform's folder for what programs must remember."""
    if chosen := os.environ.get("MEDTL_STATE"):
        return Path(chosen).expanduser().absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "medtl"
    base = os.environ.get("XDG_STATE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".local" / "state") / "medtl"


@dataclass(frozen=True)
class Looks:
    """All looks at one test set by this installation, the present one included."""

    count: int
    models: int
    """Different models (by fingerprint) among them."""
    images: int
    by_this_model: int

    def sentence(self, split: str) -> str:
        """`This is look 2 at these 1,076 test images, by 1 model.`"""
        models = f"{self.models} model" + ("s" if self.models != 1 else "")
        return f"This is look {self.count} at these {self.images:,} {split} images, by {models}."

    def all_sentence(self) -> str:
        """`Look 7 at these 489 images, by 5 models, as this installation counts.`"""
        models = f"{self.models} model" + ("s" if self.models != 1 else "")
        return f"Look {self.count} at these {self.images:,} images, by {models}, as this installation counts."


def count_look(image_hashes: Iterable[str], fingerprint: str, experiment: str) -> Looks:
    """Write one look into the ledger and count them all; safe when several processes look at once.

    Raises MedtlError where the ledger cannot be written: a look that is not counted is not taken.
    """
    hashes = sorted(image_hashes)
    path = _ledger(hashes)
    line = json.dumps({"time": datetime.now(UTC).isoformat(timespec="seconds"), "experiment": experiment, "model": fingerprint})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+", encoding="utf-8") as ledger:
            fcntl.flock(ledger, fcntl.LOCK_EX)
            ledger.write(line + "\n")
            ledger.flush()
            os.fsync(ledger.fileno())
            ledger.seek(0)
            models = [_model(each) for each in ledger if each.strip()]
    except OSError as error:
        raise MedtlError(
            f"{path}: the look cannot be counted ({error.strerror}); set MEDTL_STATE to a folder that can be written"
        ) from None
    return Looks(len(models), len(set(models)), len(hashes), models.count(fingerprint))


def read_looks(image_hashes: Iterable[str], fingerprint: str) -> Looks | None:
    """The looks at these images so far; None where this installation knows of none."""
    hashes = sorted(image_hashes)
    try:
        models = [_model(each) for each in _ledger(hashes).read_text(encoding="utf-8").splitlines() if each.strip()]
    except OSError:
        return None
    return Looks(len(models), len(set(models)), len(hashes), models.count(fingerprint))


def first_look(image_hashes: Iterable[str]) -> str | None:
    """When any model first saw these images (ISO 8601, UTC); None where this installation knows of no look."""
    try:
        first = _ledger(sorted(image_hashes)).read_text(encoding="utf-8").splitlines()[0]
        return str(json.loads(first)["time"])
    except (OSError, ValueError, KeyError, IndexError):
        return None


def _ledger(sorted_hashes: list[str]) -> Path:
    name = hashlib.sha256("\n".join(sorted_hashes).encode()).hexdigest()
    return state_dir() / "looks" / f"{name}.jsonl"


def _model(line: str) -> str:
    """The model of a ledger line; a damaged line is still a look."""
    try:
        return str(json.loads(line)["model"])
    except (ValueError, KeyError, TypeError):
        return ""
