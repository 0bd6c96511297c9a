"""What a store's files promise: damage of any kind is decoded again and never served; the cache stays within its size."""

from __future__ import annotations

import math
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medtl import measurements
from medtl.errors import MedtlError
from medtl.imaging import shards
from medtl.imaging.cache import prune
from medtl.imaging.shards import Shelf

SHAPE = (8, 8, 3)
DAMAGE = st.sampled_from(["flip", "cut", "hole"])
KEYS = [(f"{number:064x}", number % 2) for number in range(20)]


def image(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, SHAPE, dtype=np.uint8)


def measured(number: int) -> dict[str, object]:
    return measurements.row({"sha256": KEYS[number][0], "brightness": number / 7, "reason": 'a ü, \n or " and ,', "bits": "8"})


def filled(folder: Path, store: str = "this") -> Shelf:
    """Twenty images in one shard, number 5 a final verdict."""
    shelf = Shelf(folder, store, SHAPE)
    for number, key in enumerate(KEYS):
        if number == 5:
            assert shelf.add(key, None, measurements.row({"quarantine": "CONSTANT", "reason": "flat"}))
        else:
            assert shelf.add(key, image(number), measured(number))
    shelf.close()
    return shelf


def found(folder: Path, wanted: list[tuple[str, int]] = KEYS, store: str = "this") -> dict[int, np.ndarray | None]:
    """What a fresh look finds: the pixels by number, each as it should be."""
    shelf = Shelf(folder, store, SHAPE)
    shelf.find(wanted)
    result: dict[int, np.ndarray | None] = {}
    for number, key in enumerate(KEYS):
        if (held := shelf.get(key)) is not None:
            values, (shard, row) = held
            result[number] = None if row < 0 else shelf.maps[shard][row]
            assert (row < 0) == (values["quarantine"] != "")
            assert row < 0 or (np.array_equal(result[number], image(number)) and values["brightness"] == number / 7)
            assert row < 0 or (values["reason"] == measured(number)["reason"] and math.isnan(float(str(values["height"]))))
    return result


def test_what_was_put_in_comes_out(tmp_path: Path) -> None:
    filled(tmp_path)
    assert sorted(found(tmp_path)) == list(range(20))
    assert sorted(found(tmp_path, KEYS[3:6])) == [3, 4, 5]
    assert not Shelf(tmp_path, "this", SHAPE).add(KEYS[0], None, measurements.row({"quarantine": "DECODE_TIMEOUT"}))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255), what=DAMAGE, table=st.booleans())
def test_no_damage_is_served(tmp_path: Path, share: float, flip: int, what: str, table: bool) -> None:
    """A byte changed, an end lost, zeros where a crash lost a page: what is found is right, the rest is decoded again."""
    shutil.rmtree(tmp_path)
    filled(tmp_path)
    (file,) = tmp_path.glob("*.rows" if table else "*.npy")
    data = bytearray(file.read_bytes())
    at = int(share * len(data))
    if what == "flip":
        data[at] ^= flip
    elif what == "cut":
        del data[at:]
    else:
        data[at : at + 64] = bytes(len(data[at : at + 64]))
    file.write_bytes(data)
    left = found(tmp_path)  # asserts that what is found is right
    assert len(left) < 20 or what != "cut" or not table
    refilled = Shelf(tmp_path, "this", SHAPE)
    for number in set(range(20)) - set(left):
        refilled.add(KEYS[number], image(number), measured(number))
    refilled.close()
    assert sorted(found(tmp_path)) == list(range(20))


def test_a_shard_of_another_store_is_foreign_even_where_the_shape_fits(tmp_path: Path) -> None:
    filled(tmp_path / "a", "crop")
    filled(tmp_path / "b", "pad")
    (mine,), (theirs,) = (tmp_path / "a").glob("*.npy"), (tmp_path / "b").glob("*.npy")
    shutil.copy(theirs, tmp_path / "a" / "foreign.npy")
    shutil.copy(theirs.with_suffix(".rows"), tmp_path / "a" / "!.rows")
    shutil.copy(theirs, tmp_path / "a" / "!.npy")
    assert sorted(found(tmp_path / "a", store="crop")) == list(range(20))
    assert not (tmp_path / "a" / "!.rows").exists()
    np.save(mine, np.stack([image(99)] * 19))  # the pixels exchanged, shape and type as they were
    assert not [number for number, pixels in found(tmp_path / "a", store="crop").items() if pixels is not None]


def test_a_shard_is_written_as_it_grows_and_closed_by_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "SHARD_BYTES", 6 * math.prod(SHAPE))
    shelf = Shelf(tmp_path, "this", SHAPE)
    for number, key in enumerate(KEYS[:10]):
        shelf.add(key, image(number), measured(number))
    assert sorted(found(tmp_path)) == list(range(6))  # a kill now would cost four
    shelf.close()
    assert sorted(found(tmp_path)) == list(range(10))
    (sizes,) = {np.load(file, allow_pickle=False).shape[1:] for file in tmp_path.glob("*.npy")}
    assert sizes == SHAPE


def test_pruning_takes_what_was_longest_unused_and_leaves_what_is_mapped_readable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = {}
    for age, name in enumerate(("newest", "middle", "oldest")):
        held[name] = filled(tmp_path / "store" / name, name)
        for file in (tmp_path / "store" / name).iterdir():
            os.utime(file, (1e9 - age, 1e9 - age))
    (tmp_path / "store" / "notes.txt").write_text("mine")
    (tmp_path / "store" / "oldest" / "mine.npy").write_text("mine")
    each = sum(file.stat().st_size for file in (tmp_path / "store" / "newest").iterdir())

    monkeypatch.setenv("MEDTL_CACHE_GB", str(2.5 * each / 1e9))
    assert prune(tmp_path) == each
    assert not list((tmp_path / "store" / "oldest").glob("*.rows"))
    assert prune(tmp_path) == 0
    assert np.array_equal(held["oldest"].maps[0][3], image(3))

    assert sorted(found(tmp_path / "store" / "middle", store="middle")) == list(range(20))  # used just now
    monkeypatch.setenv("MEDTL_CACHE_GB", str(1.5 * each / 1e9))
    prune(tmp_path)
    assert [len(list((tmp_path / "store" / name).glob("*.rows"))) for name in ("newest", "middle")] == [0, 1]

    monkeypatch.setenv("MEDTL_CACHE_GB", "1e-9")
    assert prune(tmp_path, keep=held["middle"].files) == 0
    assert prune(tmp_path) == each
    assert (tmp_path / "store" / "notes.txt").exists()
    assert (tmp_path / "store" / "oldest" / "mine.npy").exists()


@pytest.mark.parametrize("given", ["ten", "0", "-3", "nan"])
def test_a_size_that_is_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("MEDTL_CACHE_GB", given)
    with pytest.raises(MedtlError, match=f"MEDTL_CACHE_GB is '{given}'"):
        prune(tmp_path)
