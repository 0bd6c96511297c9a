"""A small, right config that the tests of settings start from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

CONFIG = """\
name: pneumonia
task:
  classes: {normal: [NORMAL], pneumonia: [PNEUMONIA]}
  positive: pneumonia
cohorts:
  - name: folders
    domain: children
    patient: {from: filename, pattern: '(person\\d+)'}
split: {by: patient}
transfer:
  epochs: 3
imbalance: {loss: focal}
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """`write()` is a right config's path; `write(("epochs: 3", "epochs: ten"))` one with that text exchanged."""

    def written(*exchanged: tuple[str, str], more: str = "") -> Path:
        text = CONFIG
        for old, new in exchanged:
            assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the config"
            text = text.replace(old, new)
        file = tmp_path / "config.yaml"
        file.write_text(text + more, encoding="utf-8")
        return file

    return written
