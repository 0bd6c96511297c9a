"""metrics.json: whole or not at all, no NaN, no newer format."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medtl.errors import MedtlError
from medtl.evaluation import metrics_file
from medtl.evaluation.summary import summarize


def test_round_trip(tmp_path: Path, make_table, make_task):
    entry = summarize(make_table([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]]), make_task(2))
    metrics_file.write(tmp_path / "metrics.json", {"validation": entry}, "patient", 0)
    found = metrics_file.read(tmp_path / "metrics.json")
    assert found == {"format": 1, "unit": "patient", "looks": 0, "splits": {"validation": entry}}
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.json"]


def test_nan_is_refused_and_the_old_file_stays(tmp_path: Path):
    path = tmp_path / "metrics.json"
    metrics_file.write(path, {}, "image", 1)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="JSON"):
        metrics_file.write(path, {"test": {"auroc": float("nan")}}, "image", 2)
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["metrics.json"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (json.dumps({"format": 2}), "newer medtl"),
        (json.dumps({"format": "1"}), "is no metrics file"),
        (json.dumps([1]), "is no metrics file"),
        (json.dumps({"format": 1, "unit": "image"}), "looks, splits missing"),
        ('{"format": 1, "unit": NaN}', "NaN, which JSON does not know"),
        ("{", "cannot be read"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, message: str):
    path = tmp_path / "metrics.json"
    path.write_text(text)
    with pytest.raises(MedtlError, match=message):
        metrics_file.read(path)


def test_missing_file(tmp_path: Path):
    with pytest.raises(MedtlError, match="not found"):
        metrics_file.read(tmp_path / "metrics.json")
