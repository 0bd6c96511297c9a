"""What an updated package remembers of who taught and who judged."""

from __future__ import annotations

from pathlib import Path

import pytest

from medtl.errors import MedtlError
from medtl.model.ancestry import FILE, Ancestry, hashed, read_ancestry, write_ancestry


def test_it_is_read_as_it_was_written_and_ids_stand_in_it_as_hashes(tmp_path: Path) -> None:
    one = Ancestry(hashed(["a", ""]), hashed(["b"]), hashed(["pixels"]))
    both = one | Ancestry(judged=hashed(["c"]))
    assert both.judged == hashed(["b", "c"])
    assert len(both.taught) == 1
    write_ancestry(both, tmp_path)
    assert read_ancestry(tmp_path) == both
    assert "pixels" not in (tmp_path / FILE).read_text()
    assert read_ancestry(tmp_path / "elsewhere") is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"format": 1}', "cut or damaged"),
        ('{"format": 1, "taught": [1], "judged": [], "judged_images": []}', "cut or damaged"),
        ('{"format": 9, "taught": [], "judged": [], "judged_images": []}', "has format 9"),
    ],
)
def test_what_is_damaged_or_newer_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(MedtlError, match=sentence):
        read_ancestry(tmp_path)
