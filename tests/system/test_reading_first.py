"""The page on which a person reads before the model's answer is shown, in headless Chromium: with the keyboard alone, dark, narrow."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("studies") / "study"


@pytest.fixture(scope="module")
def opened(served, models, study) -> Iterator[Any]:
    with served(*models, options=["--reading-first", "--study", study]) as page:
        yield page


@pytest.fixture(scope="module")
def archive(files, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("zips") / "pneumonia-study.zip"
    with zipfile.ZipFile(path, "w") as whole:
        for kind in ("png", "dicom", "jpeg"):
            whole.write(files[kind], f"PNEUMONIA/{kind}")
        whole.writestr("PNEUMONIA/notes.txt", "no image")
    return path


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def case_shown(page: Any, title: str) -> None:
    page.wait_for_selector(f".medtl-reading h2:text-is('{title}')")
    page.wait_for_selector(".medtl-viewer[data-ready]:not([data-words])")
    page.wait_for_function("document.activeElement.classList.contains('stage')")
    page.wait_for_function("document.querySelector('.stage').getBoundingClientRect().top >= 0", timeout=2_000)  # the clock runs
    assert page.evaluate("document.querySelector('.stage').getBoundingClientRect().top < innerHeight / 2")


def tells(page: Any) -> list[str]:
    """What of an answer stands anywhere in the page: words, saliency, bars, and the file's name, which often says what it shows."""
    source = page.evaluate("document.querySelector('#medtl-main').outerHTML.replace(/<section class=\"medtl-model.*$/s, '')")
    return re.findall(r'class="(?:heat|bar|toggle)|[Tt]he probability of|threshold|PNEUMONIA/', source)


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_a_batch_is_read_first_and_again_with_the_keyboard_alone(tab, keep, archive, opened, study, width, dark):
    page, reader = tab(width=width, dark=dark), f"reader-{width}"
    page.set_input_files("#medtl-upload input[type=file]", str(archive))
    page.wait_for_selector("#medtl-begin")
    page.wait_for_function("document.activeElement.closest('#medtl-reading')")
    assert page.locator(".medtl-viewer").count() == 0, "no image before the reader begins"
    keep(page, f"reading-begin-{width}")
    page.keyboard.type("a patient")
    page.keyboard.press("Enter")
    page.wait_for_selector(".medtl-reading [role=alert]")
    page.get_by_label("Your reader code").fill(reader)
    page.keyboard.press("Enter")
    for number in (1, 2, 3):
        page.wait_for_selector(".medtl-reading h2:text-matches('Case . of 4')")
        title = page.inner_text(".medtl-reading h2")
        case_shown(page, title)
        assert tells(page) == []
        page.keyboard.press("r")
        page.keyboard.press("ArrowDown")  # from the first class, which is not chosen, to the second
        assert page.get_by_label("pneumonia", exact=True).is_checked()
        page.keyboard.press("Tab")
        page.keyboard.type("70")
        if number == 1:
            keep(page, f"reading-first-{width}")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_selector("#medtl-said .medtl-answer:not(.empty)")
        page.wait_for_function("document.activeElement.type === 'radio'")
        assert page.locator("img.heat").count() == 1
        top = page.evaluate("document.querySelector('#medtl-said .medtl-answer').getBoundingClientRect().top")
        assert -1 <= top < page.viewport_size["height"], "the answer is on the screen"
        stored = rows((study / f"readings-{reader}.csv").read_text())
        assert len(stored) == 2 * number - 1, "the first reading is on disk before the answer is there"
        if number == 1:
            keep(page, f"reading-again-{width}")
        page.keyboard.press("ArrowUp")
        page.keyboard.press("Tab")
        page.keyboard.type("30")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        if number < 3:
            page.wait_for_function(f"document.querySelector('.medtl-reading h2')?.textContent !== '{title}'")
    page.wait_for_selector("text=All done. Left out: 1 cannot be read. Your readings are stored.")
    keep(page, f"reading-done-{width}")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save readings").click()
    own = rows(Path(saved.value.path()).read_text())
    assert own == rows((study / f"readings-{reader}.csv").read_text())
    assert [row["treatment"] for row in own] == ["without model", "with model"] * 3
    assert {(row["decision"], row["rating"]) for row in own if row["treatment"] == "without model"} == {("pneumonia", "70")}
    assert {row["decision"] for row in own if row["treatment"] == "with model"} == {"normal"}
    assert all(0 < float(row["seconds"]) < 60 for row in own)
    assert opened.left() == []


def test_what_the_gate_refuses_is_read_first_too(tab, keep, files, study):
    page = tab(model="narrow")
    page.set_input_files("#medtl-upload input[type=file]", str(files["png"]))
    page.get_by_label("Your reader code").fill("gate")
    page.click("#medtl-begin")
    case_shown(page, "Your image")
    assert files["png"].name not in page.inner_text("#medtl-shown")
    page.click("#medtl-show")
    page.wait_for_selector("text=Say first what you see: choose a class.")
    page.get_by_label("normal", exact=True).check()
    page.get_by_label("How probable is pneumonia").fill("101")
    page.click("#medtl-show")
    page.wait_for_selector("text=goes from 0 to 100; 101 was given.")
    page.get_by_label("How probable is pneumonia").fill("5")
    page.click("#medtl-show")
    page.wait_for_selector("text=No answer: unlike what the model knows")
    keep(page, "reading-gate")
    page.click("#medtl-keep")
    page.wait_for_selector("text=All done.")
    first, again = rows((study / "readings-gate.csv").read_text())
    assert (first["model_decision"], again["model_decision"], again["model_reason"]) == ("", "no answer", "UNLIKE_TRAINING")
    assert again["model_probability"] == ""


def test_several_classes(tab, keep, files, study):
    page = tab(model="skin")
    page.set_input_files("#medtl-upload input[type=file]", str(files["jpeg"]))
    page.get_by_label("Your reader code").fill("skin")
    page.click("#medtl-begin")
    case_shown(page, "Your image")
    page.get_by_role("radio", name="nevus", exact=True).check()
    page.get_by_role("spinbutton", name="nevus", exact=True).fill("60")
    page.get_by_role("spinbutton", name="melanoma", exact=True).fill("40")
    keep(page, "reading-skin")
    page.click("#medtl-show")
    page.wait_for_selector("#medtl-said .bar")
    keep(page, "reading-skin-again")
    page.click("#medtl-keep")
    page.wait_for_selector("text=All done.")
    stored = rows((study / "readings-skin.csv").read_text())
    assert len(stored) == 14
    assert {row["rated"]: row["rating"] for row in stored[:7] if row["rating"] != "0"} == {"nevus": "60", "melanoma": "40"}
    assert [row["rated"] for row in stored if row["called"] == "1"] == ["nevus", "nevus"]


def test_no_request_left_this_machine(hosts):
    assert hosts() <= {"127.0.0.1"}
