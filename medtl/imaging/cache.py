"""Where medtl keeps what it can make again: preprocessed images, features. Deleting it costs time, nothing else."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_dir() -> Path:
    """`$MEDTL_CACHE`, else `medtl` in the platform's cache folder of this user (which need not exist yet)."""
    if chosen := os.environ.get("MEDTL_CACHE"):
        return Path(chosen).expanduser().absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "medtl"
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "medtl"
