"""Energy is counted beside time, and only where it is asked for."""

from __future__ import annotations

import json
import sys
import threading
import time

import pytest

from medtl.errors import MedtlError
from medtl.training.energy import metered
from medtl.training.log import Log


def test_a_log_under_a_meter_counts_upwards_in_all_its_files(tmp_path, monkeypatch):
    pytest.importorskip("codecarbon")
    monkeypatch.chdir(tmp_path)
    before = set(threading.enumerate())
    with metered(True) as meter:
        log = Log(tmp_path / "log.jsonl", meter)
        log.event("begin")
        started = time.process_time()
        while time.process_time() - started < 1.5:
            pass
        log.beside(tmp_path / "fold" / "log.jsonl").event("begin")
    first, later = (json.loads((tmp_path / name).read_text()) for name in ("log.jsonl", "fold/log.jsonl"))
    watts = (later["kwh"] - first["kwh"]) * 3.6e6 / (later["time"] - first["time"])
    assert 0.5 < watts < 1000, "between a telephone's and a large server's"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fold", "log.jsonl"], "codecarbon leaves no files"
    for each in set(threading.enumerate()) - before:
        each.join(timeout=20)
        assert not each.is_alive() or not isinstance(each, threading.Timer), "codecarbon measures on"


def test_without_a_meter_nothing_is_counted(tmp_path):
    with metered(False) as meter:
        Log(tmp_path / "log.jsonl", meter).event("begin")
    assert set(json.loads((tmp_path / "log.jsonl").read_text())) == {"time", "cpu", "event"}


def test_a_missing_package_is_named_with_the_command_that_brings_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "codecarbon", None)
    with pytest.raises(MedtlError, match=r"pip install 'medtl\[energy\]'"), metered(True):
        pass
