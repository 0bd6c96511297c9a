"""Pictures that were compared once are not compared again, and a damaged memory is no harm."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from medtl.audit import same_picture
from medtl.audit.comparisons import Comparisons, identity
from medtl.flows.agreements import remembered
from medtl.imaging.cache import cache_dir, prune

NAMES = ["c", "a", "b", "d"]
IMAGES = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 1)).astype(np.uint8)


def store(names: list[str], key: str = "settings") -> Any:
    """Its second image is a copy of the first, its last one could not be read."""
    measured = pd.DataFrame({"pixel_hash": [names[0], *names, ""]})
    return SimpleNamespace(measurements=measured, usable=(measured["pixel_hash"] != "").to_numpy(), key=key)


def searched(known: Comparisons) -> list[float]:
    return known.search(NAMES, np.arange(4, dtype=np.uint64), lambda numbers: IMAGES[numbers])[1].tolist()


def memory(key: str) -> Path:
    return cache_dir() / "agreements" / key / f"{identity(NAMES)}.npz"


def test_what_was_compared_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    with remembered(store(NAMES)) as known:
        first = searched(known)
    assert len(first) == 6
    monkeypatch.setattr(same_picture, "agreement", lambda *_: 0.25)
    with remembered(store(NAMES)) as known:
        assert searched(known) == first
    written = memory("settings").stat().st_mtime_ns
    with remembered(store(NAMES)) as known:
        searched(known)
        assert memory("settings").stat().st_mtime_ns > written, "used now"
    for other in (store(NAMES, "other settings"), store(NAMES[::-1]), store(NAMES[:3])):
        with remembered(other) as known:
            assert not known.agreements
    monkeypatch.setattr(same_picture, "VERSION", same_picture.VERSION + 1)
    with remembered(store(NAMES)) as known:
        assert searched(known) == [0.25] * 6


def test_what_is_found_out_about_other_pictures_is_not_kept_as_of_these() -> None:
    with remembered(store(NAMES, "wrong")) as known:
        known.search(NAMES[::-1], np.arange(4, dtype=np.uint64), lambda numbers: IMAGES[numbers])
    assert not memory("wrong").exists()


def test_the_cache_lets_go_of_it_as_of_all_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDTL_CACHE", str(tmp_path))
    with remembered(store(NAMES)) as known:
        searched(known)
    held = memory("settings").stat().st_size
    assert prune(tmp_path) == 0
    monkeypatch.setenv("MEDTL_CACHE_GB", "1e-9")
    assert prune(tmp_path) == held
    with remembered(store(NAMES)) as known:
        assert not known.agreements


def test_a_damaged_memory_costs_time_and_no_verdict() -> None:
    """Each byte with a bit flipped, and ends cut off: all is known as it was, or nothing."""
    with remembered(store(NAMES, "damaged")) as known:
        searched(known)
    file = memory("damaged")
    whole = file.read_bytes()
    with remembered(store(NAMES, "damaged")) as found:
        assert found.agreements == known.agreements
    forgotten = 0
    for place in range(len(whole)):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 2]) + whole[place + 1 :])  # 2: `(6, 2)` becomes `(4, 2)`
        with remembered(store(NAMES, "damaged")) as found:
            assert found.agreements in ({}, known.agreements)
        forgotten += not found.agreements
        assert found.nearest is None or np.array_equal(found.nearest, known.nearest)
    assert forgotten > len(whole) / 2
    for end in (0, 1, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:end])
        with remembered(store(NAMES, "damaged")) as found:
            assert not found.agreements


@pytest.mark.parametrize(
    "change",
    [
        {"compared": np.array([[0, 9]]), "agreements": np.array([0.5])},
        {"compared": np.array([[1, 0]]), "agreements": np.array([0.5])},
        {"agreements": np.array([0.5])},
        {"agreements": np.full(6, np.nan)},
        {"agreements": np.full(6, 7.0)},
        {"agreements": np.full(6, "0.5")},
        {"nearest": np.zeros((3, 3), np.int64)},
        {"nearest": np.array([[0.0, 1.0]])},
    ],
)
def test_a_memory_that_cannot_be_is_not_believed(change: dict[str, Any]) -> None:
    with remembered(store(NAMES, "foreign")) as known:
        right = searched(known)
    with np.load(memory("foreign")) as stored:
        content = dict(stored)
    np.savez(memory("foreign"), **{**content, **change})
    with remembered(store(NAMES, "foreign")) as known:
        assert not known.agreements
        assert searched(known) == right
