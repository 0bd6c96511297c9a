"""A decoder that aborts, hangs, panics or eats memory costs one image: the next file is answered, and nothing is left behind."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from medtl.imaging import decoding
from medtl.imaging.decoding import decode_many
from medtl.imaging.settings import ImageSettings

SETTINGS = ImageSettings(size=32, channels=1, timeout=8.0)  # a good image on a busy machine takes seconds
ANSWERS = {
    "abort": ("DECODE_FAILED", "the decoder crashed on it"),
    "segfault": ("DECODE_FAILED", "the decoder crashed on it"),
    "exit": ("DECODE_FAILED", "the decoder crashed on it"),
    "babble": ("DECODE_FAILED", "the decoder crashed on it"),
    "stammer": ("DECODE_FAILED", "the decoder crashed on it"),
    "panic": ("DECODE_FAILED", "the decoder failed (PanicException)"),
    "leave": ("DECODE_FAILED", "the decoder failed (SystemExit)"),
    "eat": ("TOO_LARGE", "decoding it needs more memory than one image may take"),
    "sleep": ("DECODE_TIMEOUT", "decoding it took more than 8 seconds (image.timeout)"),
}
Misbehaving = Callable[[Path, str], Path]


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.png"
    cv2.imwrite(str(path), np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8))
    return path


def nursery() -> int:
    return decoding._nursery()._process.pid


def open_files(process: int | str = "self") -> int:
    return len(os.listdir(f"/proc/{process}/fd"))


def resident(process: int | str = "self") -> int:
    """Bytes."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * resource.getpagesize()


def test_each_misdeed_costs_its_image_and_no_other(good: Path, tmp_path: Path, misbehaving: Misbehaving) -> None:
    bad = [misbehaving(tmp_path / f"{deed}.dcm", deed) for deed in ANSWERS]
    mixed = [path for each in bad for path in (good, each, good)]
    answers = {position: (pixels, measured) for position, pixels, measured in decode_many([(path, 0) for path in mixed], SETTINGS)}
    assert sorted(answers) == list(range(len(mixed)))
    expected = answers[0][0]
    for position, path in enumerate(mixed):
        pixels, measured = answers[position]
        if path == good:
            assert pixels is not None, (position, measured["reason"])
            np.testing.assert_array_equal(pixels, expected)
        else:
            assert pixels is None
            assert (measured["quarantine"], measured["reason"]) == ANSWERS[path.stem]
            assert "ZZCANARY" not in str(measured)


def test_answers_given_before_a_crash_count(good: Path, tmp_path: Path, misbehaving: Misbehaving) -> None:
    """The decoder is dead when the caller, which was busy elsewhere, sends more: only the image that killed it is lost."""
    paths = [good] * 40
    paths[9] = misbehaving(tmp_path / "abort", "abort")
    answers = decode_many([(path, 0) for path in paths], SETTINGS, processes=1)
    found = [next(answers)]
    assert children(nursery()) == []
    found += answers
    assert [position for position, pixels, _ in found if pixels is None] == [9]


def test_a_sleeping_decoder_is_left_at_the_limit_and_its_process_is_gone(good: Path, tmp_path: Path, misbehaving: Misbehaving) -> None:
    list(decode_many([(good, 0)], SETTINGS))  # the nursery is up
    began = time.monotonic()
    list(decode_many([(misbehaving(tmp_path / "sleep", "sleep"), 0)], SETTINGS))
    assert SETTINGS.timeout <= time.monotonic() - began < SETTINGS.timeout + 10
    assert children(nursery()) == []


def children(process: int) -> list[int]:
    """Those that live on though they should end."""
    deadline = time.monotonic() + 20
    while (living := children_now(process)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return living


def children_now(process: int) -> list[int]:
    with contextlib.suppress(FileNotFoundError):
        return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split() if lives(int(child))]
    return []


def lives(process: int) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return "State:\tZ" not in Path(f"/proc/{process}/status").read_text()
    return False


def test_memory_and_open_files_stay_flat(good: Path, tmp_path: Path, misbehaving: Misbehaving) -> None:
    deeds = [misbehaving(tmp_path / deed, deed) for deed in ("abort", "eat", "panic", "exit", "segfault")]
    one_round = [(path, 0) for path in (*deeds, good)]
    list(decode_many(one_round * 4, SETTINGS))
    before = [(open_files(each), resident(each)) for each in ("self", nursery())]
    for _ in range(8):
        assert sum(pixels is not None for _, pixels, _ in decode_many(one_round * 2, SETTINGS, processes=1)) == 2
    assert children(nursery()) == []
    for each, (files, memory) in zip(("self", nursery()), before, strict=True):
        assert open_files(each) <= files
        assert resident(each) < memory + (8 << 20)


def test_a_worker_leaves_no_core_file_and_is_killed_first_where_memory_ends(good: Path) -> None:
    """A core file of a decoder would hold a patient's picture."""
    answers = decode_many([(good, 0)] * 60, SETTINGS, processes=1)
    next(answers)
    [worker] = children_now(nursery())
    assert re.search(r"Max core file size +[01] +[01] ", Path(f"/proc/{worker}/limits").read_text())
    assert Path(f"/proc/{worker}/oom_score_adj").read_text() == "1000\n"
    answers.close()


@pytest.mark.slow
def test_hanging_workers_end_with_their_caller(tmp_path: Path, misbehaving: Misbehaving) -> None:
    """The caller is killed while its decoder hangs: neither the nursery nor the worker stays."""
    path = misbehaving(tmp_path / "sleep", "sleep")
    program = f"""
from pathlib import Path
from medtl.imaging import decoding, settings
decoding._PROGRAM = {decoding._PROGRAM!r}
next(decoding.decode_many([(Path({str(path)!r}), 0)], settings.ImageSettings(timeout=8.0)))
"""
    caller = subprocess.Popen([sys.executable, "-c", program], cwd=Path(__file__).parents[2])
    deadline, family = time.monotonic() + 300, []
    while len(family) < 2 and caller.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
        family = descendants(caller.pid)
    time.sleep(0.5)
    caller.kill()
    caller.wait()
    while any(lives(each) for each in family) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(family) == 2
    assert not any(lives(each) for each in family)


def descendants(process: int) -> list[int]:
    return [each for child in children_now(process) for each in (child, *descendants(child))]
