"""Looks at a test set are counted across runs and processes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from medtl.errors import MedtlError
from medtl.flows.looks import count_look, state_dir


@pytest.fixture(autouse=True)
def own_ledger(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDTL_STATE", str(tmp_path / "state"))


def test_looks_and_models_are_counted():
    first = count_look(["b", "a"], "one", "experiment")
    assert (first.count, first.models, first.images, first.by_this_model) == (1, 1, 2, 1)
    assert count_look(["a", "b"], "one", "experiment").sentence("test") == "This is look 2 at these 2 test images, by 1 model."
    third = count_look(["a", "b"], "two", "experiment")
    assert (third.count, third.models, third.by_this_model) == (3, 2, 1)
    assert third.sentence("test").endswith("by 2 models.")


def test_other_images_are_another_test_set():
    count_look(["a", "b"], "one", "experiment")
    assert count_look(["a", "b", "c"], "one", "experiment").count == 1


def test_a_damaged_line_is_still_a_look():
    count_look(["a"], "one", "experiment")
    [ledger] = (state_dir() / "looks").iterdir()
    ledger.write_text(ledger.read_text() + "{torn\n")
    assert count_look(["a"], "one", "experiment").count == 3


def test_several_processes_lose_no_look():
    program = "from medtl.flows.looks import count_look\nfor _ in range(20): count_look(['a'], 'm', 'e')"
    running = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(3)]
    assert [process.wait(timeout=120) for process in running] == [0, 0, 0]
    assert count_look(["a"], "m", "e").count == 61


def test_what_cannot_be_counted_is_not_looked_at(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MEDTL_STATE", str(tmp_path / "file"))
    with pytest.raises(MedtlError, match="MEDTL_STATE"):
        count_look(["a"], "one", "experiment")
