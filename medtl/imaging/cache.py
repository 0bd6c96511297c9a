"""Where medtl keeps what it can make again: preprocessed images, features, comparisons of pictures, graphs of models. Deleting it costs
time, nothing else.

It holds itself to a size, `$MEDTL_CACHE_GB` (10^9 bytes), else half of what the disk would have free without it. What was longest unused
goes first, whole shards at a time; a file that a running process has mapped stays readable for it, so nothing needs a lock.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import shutil
import sys
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path

from medtl.errors import MedtlError

GRAPHS = "graphs"
_KINDS = ("store", "features", "agreements", GRAPHS)
_SHARD = re.compile(r"[0-9a-f]{32}\.(rows|csv|json|npy|npz|onnx)")
_TABLES_FIRST = ".npy"


def cache_dir() -> Path:
    """`$MEDTL_CACHE`, else `medtl` in the platform's cache folder of this user (which need not exist yet)."""
    if chosen := os.environ.get("MEDTL_CACHE"):
        return Path(chosen).expanduser().absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "medtl"
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "medtl"


def prune(cache: Path, keep: Collection[Path] = ()) -> int:
    """Remove shards, those longest unused first, until the cache is within its size.

    Arguments:
        cache: the folder; in it only files that are named like shards are touched.
        keep: files in use, which stay even where they alone are larger.
    Returns:
        the bytes removed.
    Raises:
        MedtlError: `MEDTL_CACHE_GB` is no positive number.
    """
    shards = _shards(cache)
    held = sum(size for _, size in shards.values())
    most, before = _most(cache, held), held
    kept = {file.with_suffix("") for file in keep}
    for name in sorted(shards.keys() - kept, key=lambda name: shards[name][0]):
        if held <= most:
            break
        for file in sorted(name.parent.glob(name.name + ".*"), key=lambda file: file.suffix == _TABLES_FIRST):
            with contextlib.suppress(OSError):  # gone already, or not ours to remove
                size = file.stat().st_size
                file.unlink()
                held -= size
    return before - held


def _shards(cache: Path) -> dict[Path, tuple[float, int]]:
    """Every shard, named without suffix: when it was last used, and its bytes."""
    found: dict[Path, tuple[float, int]] = defaultdict(lambda: (0.0, 0))
    for kind in _KINDS:
        for file in (cache / kind).glob("*/*"):
            if _SHARD.fullmatch(file.name):
                with contextlib.suppress(OSError):
                    status = file.stat()
                    used, size = found[file.with_suffix("")]
                    found[file.with_suffix("")] = (max(used, status.st_mtime), size + status.st_size)
    return dict(found)


def _most(cache: Path, held: int) -> float:
    given = os.environ.get("MEDTL_CACHE_GB", "").strip()
    if not given:
        return (shutil.disk_usage(cache).free + held) / 2
    try:
        most = float(given)
    except ValueError:
        most = math.nan
    if not most > 0:
        raise MedtlError(f"MEDTL_CACHE_GB is '{given}': it takes a number above 0, the most that the cache may hold, in 10^9 bytes")
    return most * 1e9
