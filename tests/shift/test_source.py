"""What a package remembers, written and read; and what is said of a comparison."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from medtl.decisions import outlyingness
from medtl.shift import source, text
from medtl.shift.accuracy import KnownShift
from medtl.shift.examine import examine
from medtl.shift.measured import measured_of
from medtl.shift.page import write_page
from medtl.shift.source import Source

CLASSES = ("well", "ill")


def test_what_is_written_is_read_again(hospital, tmp_path) -> None:
    sample = hospital(30, seed=0)
    detector = outlyingness.fit(sample.features, "mahalanobis")
    known = (KnownShift("blur", 0.1, 0.9, {"thresholded": 0.8, "difference": 0.85}),)
    written = Source(sample, detector, known, CLASSES, "patient", "f" * 64)
    path = source.save(written, tmp_path)
    found = source.read(tmp_path, "f" * 64)
    assert found is not None
    pd.testing.assert_frame_equal(found.sample.columns, sample.columns)
    np.testing.assert_array_equal(found.sample.groups, sample.groups)
    np.testing.assert_array_equal(found.sample.truth, sample.truth)
    np.testing.assert_allclose(found.sample.features, sample.features, atol=1e-6)
    np.testing.assert_allclose(found.sample.probabilities, sample.probabilities, atol=1e-6)
    np.testing.assert_array_equal(found.detector.coordinates(sample.features), detector.coordinates(sample.features))
    assert (found.known, found.classes, found.unit) == (known, CLASSES, "patient")
    before = path.read_bytes()
    assert source.save(found, tmp_path).read_bytes() == before
    assert source.read(tmp_path / "elsewhere", "f" * 64) is None


def test_prevalence_is_said_only_where_it_may_be(hospital, tmp_path) -> None:
    ours = hospital(200, seed=1)
    rarer = examine(ours, hospital(160, seed=2, ill=0.15, labelled=False), CLASSES, draws=100)
    moved = examine(ours, hospital(160, seed=2, ill=0.15, moved=1.5, labelled=False), CLASSES, draws=100)
    assert rarer is not None
    assert moved is not None
    assert text.cause(rarer).startswith("Another share of the classes explains the difference")
    assert any(line.startswith("  share of ill: 0.1") and "by EM" in line for line in text.lines(rarer, "patient"))
    assert text.cause(moved) == "Prevalence is not shown: the images themselves changed, not only how many are ill."
    assert not any("share of ill" in line for line in text.lines(moved, "patient"))
    assert any("brightness is higher" in line for line in text.lines(moved, "patient"))
    content = json.loads(json.dumps(text.to_json(moved), allow_nan=False))
    assert content["prevalence"] == {"shown": False, "why": text.cause(moved), "check_p": moved.check.p, "estimates": {}}
    page = write_page(moved, "m<b>", "there", "patient", ["a note"], tmp_path, pd.DataFrame()).read_text()
    assert "m&lt;b&gt;" in page
    assert "<svg" in page
    assert page == write_page(moved, "m<b>", "there", "patient", ["a note"], tmp_path, pd.DataFrame()).read_text()


def test_ages_and_ids_are_not_measured() -> None:
    rows = pd.DataFrame({"image": ["a", "b"], "patient_id": ["1", "2"], "age": [3.0, 80.0], "brightness": [0.123456, 0.5], "domain": "x"})
    found = measured_of(rows)
    assert list(found.columns) == ["brightness"]
    assert found["brightness"].tolist() == pytest.approx([0.1235, 0.5])
