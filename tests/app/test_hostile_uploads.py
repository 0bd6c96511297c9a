"""Uploads whose decoder aborts, hangs or panics: the page says so in a sentence, answers the next one, and keeps nothing."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

import pytest

from medtl.app.desk import Desk
from medtl.app.page import building as page_module
from medtl.app.reading import Unreadable
from medtl.model.model import Model

DEEDS = {"abort": "the decoder crashed", "panic": "the decoder failed", "eat": "more memory than one image may take", "babble": "crashed"}


def resident() -> int:
    """Bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_the_next_upload_is_answered_and_memory_stays_flat(package, files, tmp_path, misbehaving):
    desk = Desk([package(tmp_path / "model")])
    bad = {deed: misbehaving(tmp_path / deed, deed) for deed in DEEDS}
    expected = desk.answer("lungs", files["png"]).probabilities
    refuse(desk, bad)
    opened, memory = len(os.listdir("/proc/self/fd")), resident()
    for _ in range(2):
        refuse(desk, bad)
    assert desk.answer("lungs", files["png"]).probabilities == expected
    assert len(os.listdir("/proc/self/fd")) <= opened
    assert resident() < memory + (16 << 20)


def refuse(desk: Desk, bad: dict[str, Path]) -> None:
    for deed, sentence in DEEDS.items():
        with pytest.raises(Unreadable, match=sentence) as refusal:
            desk.answer("lungs", bad[deed])
        assert "ZZCANARY" not in str(refusal.value)


def test_a_hanging_upload_is_left_at_the_limit_once(package, files, tmp_path, misbehaving, monkeypatch):
    desk = Desk([package(tmp_path / "model")])
    expected = desk.answer("lungs", files["png"])
    monkeypatch.setattr(Model, "image", property(lambda model: model.package.image.model_copy(update={"timeout": 5.0})))
    began = time.monotonic()
    with pytest.raises(Unreadable, match=r"more than 5 seconds"):
        desk.answer("lungs", misbehaving(tmp_path / "sleep", "sleep"))
    assert time.monotonic() - began < 9
    assert desk.answer("lungs", files["png"]).probabilities == expected.probabilities


def test_the_page_words_it_and_the_upload_is_gone(package, tmp_path, misbehaving):
    upload = tmp_path / "0123" / "ZZCANARY Ann.dcm"
    upload.parent.mkdir()
    desk = Desk([package(tmp_path / "model")])
    said = page_module.received_by(desk, "lungs", [str(misbehaving(upload, "abort"))], None, True, None)["said"]
    assert "<p>The decoder crashed on it.</p>" in said
    assert "ZZCANARY" not in said
    assert not upload.parent.exists()
