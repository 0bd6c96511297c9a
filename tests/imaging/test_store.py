"""Decode workers and the store: a bad image costs one image, a kill at most the shard in hand, and nothing is decoded twice."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import PIL.Image
import pytest

from medtl.errors import ImageError, MedtlError
from medtl.imaging import decoding
from medtl.imaging.decoding import decode_many
from medtl.imaging.settings import ImageSettings
from medtl.imaging.store import open_store

SETTINGS = ImageSettings(size=32, channels=1)


@pytest.fixture
def pictures(tmp_path: Path) -> pd.DataFrame:
    """Forty small pictures in `tmp_path`, each with its number as its first pixel."""
    rng = np.random.default_rng(0)
    for number in range(40):
        stored = rng.integers(0, 256, (32, 32), dtype=np.uint8)
        stored[0, 0] = number
        PIL.Image.fromarray(stored).save(tmp_path / f"{number:02d}.png")
    return pd.DataFrame({"image": [f"{number:02d}.png" for number in range(40)], "frame": 0})


def workers() -> list[int]:
    """The live decode processes, by id."""
    nursery = decoding._nursery()._process.pid
    children = Path(f"/proc/{nursery}/task/{nursery}/children").read_text().split()
    return [int(child) for child in children if "State:\tZ" not in Path(f"/proc/{child}/status").read_text()]


def items(folder: Path, count: int) -> list[tuple[Path, int]]:
    return [(folder / f"{number % 40:02d}.png", 0) for number in range(count)]


def test_everything_is_answered_once(pictures: pd.DataFrame, tmp_path: Path) -> None:
    answers = {position: pixels for position, pixels, _ in decode_many(items(tmp_path, 100), SETTINGS)}
    assert sorted(answers) == list(range(100))
    assert all(pixels is not None and pixels[0, 0, 0] == position % 40 for position, pixels in answers.items())


def test_a_killed_worker_costs_one_image(pictures: pd.DataFrame, tmp_path: Path) -> None:
    answers = []
    for answer in decode_many(items(tmp_path, 400), SETTINGS, processes=2):
        answers.append(answer)
        if len(answers) == 10:
            os.kill(workers()[0], signal.SIGKILL)
    assert sorted(position for position, *_ in answers) == list(range(400))
    lost = [measurement for _, pixels, measurement in answers if pixels is None]
    assert [measurement["quarantine"] for measurement in lost] in (["DECODE_FAILED"], [])  # [] where it had just none in hand


def test_a_hanging_worker_costs_one_image(pictures: pd.DataFrame, tmp_path: Path) -> None:
    answers = []
    for answer in decode_many(items(tmp_path, 400), SETTINGS.model_copy(update={"timeout": 1.0}), processes=2):
        answers.append(answer)
        if len(answers) == 10:
            os.kill(hanging := workers()[0], signal.SIGSTOP)
    assert sorted(position for position, *_ in answers) == list(range(400))
    lost = [measurement for _, pixels, measurement in answers if pixels is None]
    assert [measurement["quarantine"] for measurement in lost] == ["DECODE_TIMEOUT"]
    assert hanging not in workers()


def test_a_slow_consumer_is_no_timeout(pictures: pd.DataFrame, tmp_path: Path) -> None:
    for count, (_, pixels, _) in enumerate(decode_many(items(tmp_path, 40), SETTINGS.model_copy(update={"timeout": 0.5}))):
        assert pixels is not None
        if count in (3, 20):
            time.sleep(1.2)


@pytest.mark.parametrize(("images", "threads"), [(1, [4]), (2, [3, 3]), (12, [1] * 6)])
def test_an_image_alone_may_take_the_processors(
    pictures: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, images: int, threads: list[int]
) -> None:
    asked, send = [], decoding.Connection.send_bytes

    def noted(connection: Any, request: bytes) -> None:
        asked.append(json.loads(request)["threads"])
        send(connection, request)

    monkeypatch.setattr(decoding, "processors", lambda: 6)
    monkeypatch.setattr(decoding.Connection, "send_bytes", noted)
    assert all(pixels is not None for _, pixels, _ in decode_many(items(tmp_path, images), SETTINGS))
    assert asked[: len(threads)] == threads


def test_workers_end_with_the_call(pictures: pd.DataFrame, tmp_path: Path) -> None:
    next(iter(decode_many(items(tmp_path, 40), SETTINGS)))
    deadline = time.monotonic() + 10
    while workers() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert workers() == []


def test_a_killed_nursery_is_replaced(pictures: pd.DataFrame, tmp_path: Path) -> None:
    list(decode_many(items(tmp_path, 2), SETTINGS))
    os.kill(decoding._nursery()._process.pid, signal.SIGKILL)
    assert all(pixels is not None for _, pixels, _ in decode_many(items(tmp_path, 40), SETTINGS))


def test_memory_is_bounded() -> None:
    program = "from medtl.memory import limit_memory; limit_memory(1 << 28); bytearray(1 << 27); print('some'); bytearray(1 << 30)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "some\n"
    assert "MemoryError" in done.stderr


def test_a_store_holds_what_was_asked(pictures: pd.DataFrame, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    store = open_store(pictures, tmp_path, SETTINGS, tmp_path / "cache", lambda done, total: seen.append((done, total)))
    assert (store.decoded, len(store), store.usable.all()) == (40, 40, True)
    assert seen == [(done, 40) for done in range(41)]
    np.testing.assert_array_equal(store.read([7, 3, 7, 39])[:, 0, 0, 0], [7, 3, 7, 39])
    assert store.measurements["image"].tolist() == pictures["image"].tolist()
    out = np.zeros((2, 32, 32, 1), np.uint8)
    assert store.read(np.array([5, 6]), out=out) is out
    again = open_store(pictures.iloc[::-1], tmp_path, SETTINGS, tmp_path / "cache")
    assert again.decoded == 0
    np.testing.assert_array_equal(again.read(range(40)), store.read(range(39, -1, -1)))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(again)).read([0]), store.read([39]))
    pd.testing.assert_frame_equal(again.measurements.iloc[::-1].reset_index(drop=True), store.measurements)


def test_content_is_the_key(pictures: pd.DataFrame, tmp_path: Path) -> None:
    open_store(pictures, tmp_path, SETTINGS, tmp_path / "cache")
    (tmp_path / "00.png").rename(tmp_path / "new.png")
    moved = pictures.replace("00.png", "new.png")
    assert open_store(moved, tmp_path, SETTINGS, tmp_path / "cache").decoded == 0
    (tmp_path / "01.png").write_bytes((tmp_path / "02.png").read_bytes())
    assert open_store(moved, tmp_path, SETTINGS, tmp_path / "cache").decoded == 0
    patient = SETTINGS.model_copy(update={"timeout": 99.0, "quarantine_share": 0.5})
    assert open_store(moved, tmp_path, patient, tmp_path / "cache").decoded == 0
    assert open_store(moved, tmp_path, SETTINGS.model_copy(update={"fit": "crop"}), tmp_path / "cache").decoded == 39


def test_the_unusable_stay_with_their_reasons(pictures: pd.DataFrame, tmp_path: Path, dicom: Callable[..., Path]) -> None:
    (tmp_path / "00.png").write_text("no picture")
    PIL.Image.fromarray(np.zeros((32, 32), np.uint8)).save(tmp_path / "01.png")
    (tmp_path / "02.png").write_bytes((tmp_path / "02.png").read_bytes()[:500])
    (tmp_path / "03.png").unlink()
    store = open_store(pictures, tmp_path, SETTINGS, tmp_path / "cache")
    assert store.measurements["quarantine"].tolist()[:5] == ["NOT_AN_IMAGE", "CONSTANT", "DECODE_FAILED", "NOT_FOUND", ""]
    assert store.usable.sum() == 36
    assert (store.measurements["reason"].iloc[:4] != "").all()
    with pytest.raises(ImageError, match="CONSTANT"):
        store.read([5, 1])
    again = open_store(pictures, tmp_path, SETTINGS, tmp_path / "cache")
    assert again.decoded == 1  # what may succeed another day
    assert again.measurements.equals(store.measurements)


def test_cut_and_foreign_shards_are_passed_over(pictures: pd.DataFrame, tmp_path: Path) -> None:
    expected = open_store(pictures, tmp_path, SETTINGS, tmp_path / "cache").read(range(40))
    (pixels,) = (tmp_path / "cache").rglob("*.npy")
    whole = pixels.read_bytes()
    for damage in (whole[:-1], whole[:50], b"", np.zeros((40, 32, 32, 1), np.float64).tobytes()):
        pixels.write_bytes(damage)
        pixels.with_name("foreign.csv").write_text("a,b\n1,2\n")
        store = open_store(pictures, tmp_path, SETTINGS, tmp_path / "cache")
        assert store.decoded == 40
        np.testing.assert_array_equal(store.read(range(40)), expected)
        for other in pixels.parent.iterdir():
            if other.stem != pixels.stem:
                other.unlink()


def test_runs_at_the_same_time_do_not_disturb_each_other(pictures: pd.DataFrame, tmp_path: Path) -> None:
    stores = []
    threads = [
        threading.Thread(target=lambda: stores.append(open_store(pictures, tmp_path, SETTINGS, tmp_path / "cache"))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for store in stores:
        np.testing.assert_array_equal(store.read(range(40))[:, 0, 0, 0], range(40))
    assert open_store(pictures, tmp_path, SETTINGS, tmp_path / "cache").decoded == 0


def test_a_killed_run_loses_the_shard_in_hand_and_needs_no_main_guard(pictures: pd.DataFrame, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(f"""
import os, signal, pathlib, pandas
from medtl.imaging import shards, store, settings
shards.SHARD_BYTES = 8 * 32 * 32
table = pandas.DataFrame({{"image": [f"{{number:02d}}.png" for number in range(40)], "frame": 0}})
folder = pathlib.Path({str(tmp_path)!r})
kill = lambda done, total: done == 30 and os.kill(os.getpid(), signal.SIGKILL)
store.open_store(table, folder, settings.ImageSettings(size=32, channels=1), folder / "cache", kill)
""")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == -signal.SIGKILL, done.stderr
    (tmp_path / "cache" / "store").glob("*").__next__().joinpath("half.npy.partial").write_bytes(b"half")
    store = open_store(pictures, tmp_path, SETTINGS, tmp_path / "cache")
    assert store.decoded == 40 - 24
    np.testing.assert_array_equal(store.read(range(40))[:, 0, 0, 0], range(40))


def test_an_interrupted_run_keeps_what_it_has_decoded(pictures: pd.DataFrame, tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_store(pictures, tmp_path, SETTINGS, tmp_path / "cache", interrupt)
    assert open_store(pictures, tmp_path, SETTINGS, tmp_path / "cache").decoded == 10


def test_a_cache_that_cannot_be_written_is_named(pictures: pd.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file, no folder")
    with pytest.raises(MedtlError, match=r"the cache .*cache cannot be written .*MEDTL_CACHE"):
        open_store(pictures, tmp_path, SETTINGS, tmp_path / "cache")


def test_importing_the_store_imports_no_torch() -> None:
    """Nor of what the decode workers import, whose start everybody waits for."""
    program = (
        "import sys, medtl.imaging.store, medtl.imaging.reader, medtl.imaging.preprocessing, medtl.imaging.nursery\n"
        "print('torch' in sys.modules or 'monai' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
