"""Feedback below an answer, in headless Chromium: by keyboard, with and without the image, after a reading of one's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("told") / "feedback"


@pytest.fixture(scope="module")
def opened(served, models, told) -> Iterator[Any]:
    with served(models[0], options=["--reading-first", "--feedback", told]) as page:
        yield page


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_what_is_sent_is_stored_and_nothing_else(tab, keep, files, told, opened, width, dark):
    page = tab(width=width, dark=dark, model="")
    page.set_input_files("#medtl-upload input[type=file]", str(files["dicom" if dark else "png"]))
    page.get_by_label("Your reader code").fill("r1")
    page.click("#medtl-begin")
    page.wait_for_selector(".medtl-viewer[data-ready]:not([data-words])")
    assert not page.get_by_role("button", name="Was this right?").is_visible(), "not before the answer"
    page.locator("#medtl-called").get_by_label("normal", exact=True).check()
    page.get_by_label("How probable is pneumonia").fill("20")
    page.click("#medtl-show")
    page.wait_for_selector("#medtl-said .medtl-answer:not(.empty)")
    fold = page.get_by_role("button", name="Was this right?")
    page.wait_for_function("document.activeElement.closest('#medtl-reading')")  # where the page puts it
    fold.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#medtl-send")
    page.click("#medtl-send")
    page.wait_for_selector("text=Say what it is, or that it cannot be told.")
    inside = page.locator("#medtl-feedback")
    inside.get_by_label("pneumonia" if dark else "normal", exact=True).check()
    inside.get_by_label("opinion", exact=True).check()
    inside.get_by_label("Comment").fill("a shadow")
    if not dark:
        inside.get_by_label("The image may be kept").check()
    keep(page, f"feedback-{width}")
    page.click("#medtl-send")
    page.wait_for_selector(f"text=Stored, {'without' if dark else 'with'} the image.")
    assert not page.locator("#medtl-send").is_visible()
    manifest = pd.read_csv(told / "chest" / "manifest.csv", dtype=str)
    assert manifest[["label", "seen_model", "basis"]].to_numpy().tolist() == [["normal", "false", "opinion"]]
    said = pd.read_csv(told / "chest" / "feedback.csv", dtype=str, keep_default_na=False).iloc[-1]
    assert (said["label"], said["image"] != "", said["comment"]) == ("pneumonia" if dark else "normal", not dark, "a shadow")
    assert "a shadow" not in opened.log.read_text()
    page.click("#medtl-keep")
    page.wait_for_selector("text=All done.")
    assert not fold.is_visible()
    assert opened.left() == []
