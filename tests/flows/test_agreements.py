"""Pictures that were compared once are not compared again, and a damaged memory is no harm."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from medtl.audit import same_picture
from medtl.flows.agreements import remembered
from medtl.imaging.cache import cache_dir


def test_what_was_compared_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    store: Any = SimpleNamespace(measurements=pd.DataFrame({"pixel_hash": ["a", "b"]}))
    chance = np.random.default_rng(0)
    noise = chance.integers(0, 256, (same_picture.SIDE, same_picture.SIDE)).astype(np.uint8)
    one, other = (same_picture.Picture.of(np.roll(noise, rows, axis=0)) for rows in (0, 1))
    with remembered(store) as compare:
        first = compare(one, other), compare(one, one)
    assert first == (same_picture.agreement(one, other), same_picture.agreement(one, one))
    memory: Path = next((cache_dir() / "agreements").glob("*.npy"))

    monkeypatch.setattr(same_picture, "agreement", lambda *_: pytest.fail("compared again"))
    with remembered(store) as compare:
        assert (compare(one, other), compare(one, one)) == first

    memory.write_bytes(memory.read_bytes()[:40])
    monkeypatch.setattr(same_picture, "agreement", lambda *_: 0.25)
    with remembered(store) as compare:
        assert compare(one, other) == 0.25
