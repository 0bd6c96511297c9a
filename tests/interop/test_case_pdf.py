"""The printed page of one answer: one page, everything on it, no name."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest

from medtl.app.desk import Desk
from medtl.app.documents import case_of, pdf_of
from medtl.model.prevalence import metrics_of

SKIN = tuple(f"diagnosis number {i} with a long name" for i in range(12))


@pytest.fixture
def case(package, files, tmp_path):
    """`case(kind="dicom", classes=…)`"""

    def make(kind: str = "dicom", classes: tuple[str, ...] = ("normal", "ill"), **changed: object):
        desk = Desk([package(tmp_path / "-".join(classes)[:40], classes, **changed)])
        label = desk.labels[0]
        return case_of(desk.answer(label, files[kind]), metrics_of(desk.folder(label)))

    return make


def text(pdf: bytes, tmp_path) -> str:
    """By poppler, which knows nothing of us; checks that it is one page."""
    if shutil.which("pdftotext") is None:
        pytest.skip("no pdftotext on this machine (apt-get install poppler-utils)")
    (tmp_path / "page.pdf").write_bytes(pdf)
    info = subprocess.run(["pdfinfo", tmp_path / "page.pdf"], capture_output=True, text=True, check=True).stdout
    assert re.search(r"Pages:\s+1\b", info)
    said = subprocess.run(["pdftotext", "-layout", tmp_path / "page.pdf", "-"], capture_output=True, text=True, check=True).stdout
    return " ".join(said.split())


def test_what_stands_on_it(case, tmp_path):
    made = case()
    said = text(pdf_of(made), tmp_path)
    for wanted in (
        "Research use only", made.headline, made.because, made.package.fingerprint, made.sha256, "modality DX",
        "How good this model was on test: 80 images of 60 patients",
        "0.900 (0.800 to 0.950)", "threshold 40.0 %", "not where disease is", "MONOCHROME1, inverted for display", "25.0 %",
    ):  # fmt: skip
        assert wanted in said
    assert "ZZCANARY" not in said
    assert b"ZZCANARY" not in pdf_of(made)


def test_no_answer_shows_no_class_no_number_and_no_saliency(case, tmp_path):
    made = case("ct")
    said = text(pdf_of(made), tmp_path)
    assert "its header says that it is a CT image" in made.because
    assert f"No answer {made.because}" in said
    assert "not where disease is" not in said
    assert "Threshold" not in said
    assert "from 40.0 %" not in said


def test_twelve_classes_stay_on_one_page(case, tmp_path):
    said = text(pdf_of(case("png", SKIN)), tmp_path)
    assert said.count("0.900") == 12


def test_markup_in_words_is_text(case, tmp_path):
    made = replace(case(), because='<img src="http://192.0.2.1/x"/> <b>bold', notes=["<a href='file:///etc/passwd'>x</a> Ω ü"])
    said = text(pdf_of(made), tmp_path)
    assert '<img src="http://192.0.2.1/x"/> <b>bold' in said
    assert "<a href='file:///etc/passwd'>x</a> Ω ü" in said


def test_an_unjudged_synthetic_model_says_so(case, tmp_path):
    made = case(synthetic=True)
    said = text(pdf_of(replace(made, metrics=None)), tmp_path)
    assert "SYNTHETIC: this model learned from made images" in said
    assert "was not judged on any images yet" in said


def test_a_tall_and_a_tiny_picture(case, tmp_path):
    made = case()
    for shape in ((1024, 40), (2, 300)):
        changed = replace(made, picture=np.zeros((*shape, 3), np.uint8), maps={"ill": np.zeros((4, 4), np.float32)})
        assert "Research use only" in text(pdf_of(changed), tmp_path)
