"""What medtl wrote for itself is read back, or refused in one sentence that says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from medtl import own_json
from medtl.errors import MedtlError
from medtl.files import write_json


def test_what_was_written_is_read_and_what_is_not_there_is_none(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"format": 1, "value": 3})
    assert own_json.read(tmp_path / "a.json", "write it again") == {"format": 1, "value": 3}
    assert own_json.read(tmp_path / "b.json", "write it again") is None


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "{}", '{"format": "x"}', '{"format": null}', "[" * 100_000])
def test_a_damaged_file_is_said_with_what_mends_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(MedtlError, match=r"a\.json: is cut or damaged \(\w+\); write it again"):
        own_json.read(path, "write it again")


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"format": 2}')
    with pytest.raises(MedtlError, match="has format 2, written by a newer medtl; this one reads up to format 1: update medtl"):
        own_json.read(tmp_path / "a.json", "write it again")
