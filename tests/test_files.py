"""What a killed writer leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from medtl.errors import MedtlError
from medtl.files import check_place, locked, write_text

DIE_WRITING = """
import os, sys, time
from pathlib import Path
from medtl.files import locked, write_atomically

def write(temporary):
    temporary.write_text("half")
    os.kill(os.getpid(), 9)

folder = Path(sys.argv[1])
with locked(folder):
    write_atomically(folder / "deep" / "table.csv", write)
"""


def test_the_next_writer_clears_what_a_killed_one_left(tmp_path: Path) -> None:
    write_text(tmp_path / "deep" / "table.csv", "whole")
    (tmp_path / "deep" / ".hidden").write_text("the user's own")
    died = subprocess.run([sys.executable, "-c", DIE_WRITING, str(tmp_path)], check=False, env={**os.environ})
    assert died.returncode == -signal.SIGKILL
    assert len([*(tmp_path / "deep").iterdir()]) == 3, "the killed writer left nothing to clear"
    with locked(tmp_path):
        assert {path.name: path.read_text() for path in (tmp_path / "deep").iterdir()} == {
            "table.csv": "whole",
            ".hidden": "the user's own",
        }


def test_one_writer_a_folder(tmp_path: Path) -> None:
    unfinished = tmp_path / ".table.csv.1.tmp"
    with locked(tmp_path):
        unfinished.write_text("being written")
        with pytest.raises(MedtlError, match="is being written by another medtl process"), locked(tmp_path):
            pass
        assert unfinished.exists(), "a refused writer cleared what the first is writing"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("folder", "is a folder; give the file's own name, such as .*folder/x.csv"),
        ("file/x.csv", "file is a file, so nothing can be written below it"),
        ("file/new/x.csv", "file is a file, so nothing can be written below it"),
        ("n" * 250 + ".csv", r"cannot be written \(File name too long\)"),
        ("n" * 300 + "/x.csv", r"cannot be written \(File name too long\)"),
    ],
)
def test_an_impossible_place_is_refused_before_the_work(tmp_path: Path, name: str, sentence: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("mine")
    with pytest.raises(MedtlError, match=f"^--out .*{sentence}"):
        check_place("--out", tmp_path / name, "x.csv")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder"]


def test_a_place_that_can_be_written_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "there.csv").write_text("mine")
    for name in ("there.csv", "new.csv", "deep/er/new.csv", "n" * 240):
        check_place("--out", tmp_path / name, "x.csv")
    assert [path.name for path in tmp_path.rglob("*")] == ["there.csv"]
    write_text(tmp_path / ("n" * 240), "as long as it may be")
